"""Letting a model answer: many prompts at once for the texts, one at a time for the speed."""

import time
from collections.abc import Callable, Sequence

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from slm_evaluation.domain import percentile
from slm_ml.encoding import Example
from slm_ml.generation import generate_batch

GENERATION_BATCH = 32
# One at a time is slow, and eight give a median.
TIMED_ANSWERS = 8
# For a model that words it differently; without a limit one that never stops costs minutes.
MARGIN_TOKENS = 8


def answer_limit(examples: Sequence[Example], max_new_tokens: int) -> int:
    """Enough tokens for the longest expected answer and a little more."""
    longest = max(len(example.input_ids) - len(example.prompt_ids) for example in examples)
    return max(1, min(max_new_tokens, longest + MARGIN_TOKENS))


def answer_all(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    examples: Sequence[Example],
    *,
    limit: int,
    progress: Callable[[], None] = lambda: None,
) -> list[str]:
    """What the model answers to each, in their order; prompts of similar length are answered together."""
    order = sorted(range(len(examples)), key=lambda index: len(examples[index].prompt_ids))
    texts: dict[int, str] = {}
    for start in range(0, len(order), GENERATION_BATCH):
        part = order[start : start + GENERATION_BATCH]
        answers = generate_batch(model, tokenizer, [examples[index].prompt_ids for index in part], max_new_tokens=limit)
        texts |= {index: str(tokenizer.decode(ids)) for index, ids in zip(part, answers, strict=True)}
        progress()
    return [texts[index] for index in range(len(examples))]


def measure_speed(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, examples: Sequence[Example], *, limit: int
) -> dict[str, float]:
    """Milliseconds per answer and tokens per second, one prompt at a time, over the first few."""
    milliseconds, tokens = [], 0
    for example in examples[:TIMED_ANSWERS]:
        begun = time.perf_counter()
        (answer,) = generate_batch(model, tokenizer, [example.prompt_ids], max_new_tokens=limit)
        milliseconds.append((time.perf_counter() - begun) * 1000)
        # The stop token is generated too.
        tokens += min(len(answer) + 1, limit)
    return {
        "latency_ms_p50": percentile(milliseconds, 0.5),
        "latency_ms_p95": percentile(milliseconds, 0.95),
        "tokens_per_s": tokens / (sum(milliseconds) / 1000),
    }
