"""Measuring a model on encoded rows, with the true tokens given at each step (teacher forcing)."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional
from transformers import PreTrainedModel

from slm_ml.encoding import Example

BATCH_TOKENS = 4096


@dataclass(frozen=True)
class RowScore:
    """What teacher forcing measures on one row, over the tokens in its loss mask.

    `loss` is the sum of cross-entropies in nats, `right` how many tokens the model puts first, of `tokens`.
    """

    loss: float
    right: int
    tokens: int


@dataclass(frozen=True)
class Scores:
    """What teacher forcing measures over all tokens in the loss masks.

    `loss` is the mean cross-entropy in nats per token, `perplexity` its exponential, `token_accuracy` the share of
    tokens that the model puts first, `tokens` how many there are. `rows` holds each row's share, in their order.
    """

    loss: float
    perplexity: float
    token_accuracy: float
    tokens: int
    rows: tuple[RowScore, ...] = ()


@torch.inference_mode()
def score(
    model: PreTrainedModel, examples: Sequence[Example], *, progress: Callable[[int], None] | None = None
) -> Scores:
    """Score a model on examples in batches of similar length. `progress` is told the examples done so far.

    Raises ValueError when no token is in any loss mask.
    """
    was_training = model.training
    model.train(False)
    rows: dict[int, RowScore] = {}
    try:
        for batch in _batches(examples):
            rows |= zip(batch, _score_batch(model, [examples[index] for index in batch]), strict=True)
            if progress is not None:
                progress(len(rows))
    finally:
        model.train(was_training)
    return _total([rows[index] for index in range(len(examples))])


def _total(rows: Sequence[RowScore]) -> Scores:
    tokens = sum(row.tokens for row in rows)
    if tokens == 0:
        raise ValueError("no token to score")
    loss = math.fsum(row.loss for row in rows) / tokens
    right = sum(row.right for row in rows)
    # `exp` overflows at 710.
    return Scores(loss, math.exp(min(loss, 700.0)), right / tokens, tokens, tuple(rows))


def mean_loss(model: PreTrainedModel, examples: Sequence[Example]) -> float:
    """Mean cross-entropy in nats per token of the loss masks."""
    return score(model, examples).loss


def _batches(examples: Sequence[Example]) -> list[list[int]]:
    """Places of the examples, sorted by length and cut so that a padded batch holds at most `BATCH_TOKENS` tokens."""
    batches: list[list[int]] = []
    for index in sorted(range(len(examples)), key=lambda index: len(examples[index].input_ids)):
        if batches and (len(batches[-1]) + 1) * len(examples[index].input_ids) <= BATCH_TOKENS:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches


def _score_batch(model: PreTrainedModel, batch: list[Example]) -> list[RowScore]:
    """Summed loss, tokens predicted right, and tokens, of each row of one batch."""
    width = max(len(example.input_ids) for example in batch)
    ids = _padded([example.input_ids for example in batch], width).to(model.device)
    wanted = _padded([example.loss_mask for example in batch], width).to(model.device)[:, 1:].bool()
    attention = _padded([[1] * len(example.input_ids) for example in batch], width).to(model.device)
    logits = model(input_ids=ids, attention_mask=attention, use_cache=False).logits[:, :-1][wanted].float()
    targets = ids[:, 1:][wanted]
    # Which row each token that counts belongs to.
    owner = wanted.nonzero()[:, 0]
    loss = functional.cross_entropy(logits, targets, reduction="none").double()
    losses = torch.zeros(len(batch), dtype=torch.float64, device=model.device).index_add_(0, owner, loss)
    right = torch.bincount(owner[logits.argmax(dim=-1) == targets], minlength=len(batch))
    tokens = torch.bincount(owner, minlength=len(batch))
    columns = (losses.tolist(), right.tolist(), tokens.tolist())
    return [RowScore(*row) for row in zip(*columns, strict=True)]


def _padded(rows: list[list[int]], width: int) -> torch.Tensor:
    return torch.tensor([row + [0] * (width - len(row)) for row in rows])
