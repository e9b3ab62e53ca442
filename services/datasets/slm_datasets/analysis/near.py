"""Near-duplicates by MinHash and locality-sensitive hashing over pieces of five characters.

Broder, "On the resemblance and containment of documents" (1997); two texts are near when their estimated Jaccard
similarity is 0.8 or more.
"""

import numpy as np
import xxhash
from datasketch import MinHash, MinHashLSH

THRESHOLD = 0.8
# The estimate of a similarity of 0.8 is off by 0.05 (one standard deviation, sqrt(0.8 * 0.2 / 64)).
PERMUTATIONS = 64
PIECE = 5
MAX_CHARACTERS = 2000
MIN_CHARACTERS = 20
MAX_ROWS = 20_000
"""Rows looked at, evenly spread: about 4,000 a second are hashed."""


def signature(text: str) -> MinHash:
    """The MinHash of the first 2,000 characters of a normalised text."""
    cut = text[:MAX_CHARACTERS]
    pieces = {cut[start : start + PIECE] for start in range(max(1, len(cut) - PIECE + 1))}
    hashes = np.fromiter((xxhash.xxh3_64_intdigest(piece.encode()) & 0xFFFFFFFF for piece in pieces), dtype=np.uint64)
    found = MinHash(num_perm=PERMUTATIONS, hashfunc=int)
    # The pieces are hashed already: `hashfunc` only has to pass the numbers on.
    found.update_batch(hashes.tolist())
    return found


def new_index() -> MinHashLSH:
    """An empty index of signatures."""
    return MinHashLSH(threshold=THRESHOLD, num_perm=PERMUTATIONS)


def sampling_step(total: int, most: int) -> int:
    """Every how many-th row to take so that at most `most` are taken."""
    return max(1, -(-total // most))
