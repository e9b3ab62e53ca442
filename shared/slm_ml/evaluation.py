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
class Scores:
    """What teacher forcing measures over all tokens in the loss masks.

    `loss` is the mean cross-entropy in nats per token, `perplexity` its exponential, `token_accuracy` the share of
    tokens that the model puts first, `tokens` how many there are.
    """

    loss: float
    perplexity: float
    token_accuracy: float
    tokens: int


@torch.inference_mode()
def score(
    model: PreTrainedModel, examples: Sequence[Example], *, progress: Callable[[int], None] | None = None
) -> Scores:
    """Score a model on examples in batches of similar length. `progress` is told the examples done so far.

    Raises ValueError when no token is in any loss mask.
    """
    was_training = model.training
    model.train(False)
    total_loss, right, tokens, done = 0.0, 0, 0, 0
    try:
        for batch in _batches(examples):
            batch_loss, batch_right, batch_tokens = _score_batch(model, batch)
            total_loss += batch_loss
            right += batch_right
            tokens += batch_tokens
            done += len(batch)
            if progress is not None:
                progress(done)
    finally:
        model.train(was_training)
    if tokens == 0:
        raise ValueError("no token to score")
    loss = total_loss / tokens
    return Scores(loss, math.exp(min(loss, 700.0)), right / tokens, tokens)


def mean_loss(model: PreTrainedModel, examples: Sequence[Example]) -> float:
    """Mean cross-entropy in nats per token of the loss masks."""
    return score(model, examples).loss


def _batches(examples: Sequence[Example]) -> list[list[Example]]:
    """Examples sorted by length and cut so that a padded batch holds at most `BATCH_TOKENS` tokens."""
    batches: list[list[Example]] = []
    for example in sorted(examples, key=lambda each: len(each.input_ids)):
        if batches and (len(batches[-1]) + 1) * len(example.input_ids) <= BATCH_TOKENS:
            batches[-1].append(example)
        else:
            batches.append([example])
    return batches


def _score_batch(model: PreTrainedModel, batch: list[Example]) -> tuple[float, int, int]:
    """Summed loss, tokens predicted right, and tokens, of one batch."""
    width = max(len(example.input_ids) for example in batch)
    ids = _padded([example.input_ids for example in batch], width).to(model.device)
    wanted = _padded([example.loss_mask for example in batch], width).to(model.device)[:, 1:].bool()
    attention = _padded([[1] * len(example.input_ids) for example in batch], width).to(model.device)
    logits = model(input_ids=ids, attention_mask=attention, use_cache=False).logits[:, :-1][wanted].float()
    targets = ids[:, 1:][wanted]
    loss = functional.cross_entropy(logits, targets, reduction="none").double().sum()
    return float(loss), int((logits.argmax(dim=-1) == targets).sum()), targets.numel()


def _padded(rows: list[list[int]], width: int) -> torch.Tensor:
    return torch.tensor([row + [0] * (width - len(row)) for row in rows])
