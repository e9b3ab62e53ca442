"""Greedy generation in batches."""

from collections.abc import Sequence
from typing import Any, cast

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase


@torch.inference_mode()
def generate_batch(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
) -> list[list[int]]:
    """The most likely continuation of each prompt, without the stop token, at most `max_new_tokens` long.

    Prompts are padded on the left, so that all of them end where generation begins.
    """
    if not prompts:
        return []
    pad = int(tokenizer.pad_token_id or 0)
    width = max(len(prompt) for prompt in prompts)
    ids = torch.tensor([[pad] * (width - len(prompt)) + list(prompt) for prompt in prompts], device=model.device)
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=model.device)
    out = cast(Any, model).generate(
        input_ids=ids,
        attention_mask=mask,
        max_new_tokens=max_new_tokens,
        do_sample=False,
        num_beams=1,
        pad_token_id=pad,
        eos_token_id=tokenizer.eos_token_id,
    )
    return [_until_stop(row[width:].tolist(), tokenizer) for row in out]


def _until_stop(ids: list[int], tokenizer: PreTrainedTokenizerBase) -> list[int]:
    stops = {tokenizer.eos_token_id, tokenizer.pad_token_id}
    end = next((index for index, token in enumerate(ids) if token in stops), len(ids))
    return ids[:end]
