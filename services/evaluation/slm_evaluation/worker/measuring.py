"""Measuring one model on one dataset, from files to numbers."""

import json
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from slm_evaluation.domain import is_exact, percentile
from slm_evaluation.worker.job import EvaluationJob
from slm_ml.data import read_rows
from slm_ml.encoding import TEXT, Example, encode_rows
from slm_ml.evaluation import score
from slm_ml.generation import generate_batch
from slm_ml.model import load_model, load_tokenizer

GENERATION_BATCH = 32
TIMED_ANSWERS = 8
SHOWN_SAMPLES = 5
MARGIN_TOKENS = 8
MAX_SAMPLE_CHARACTERS = 20_000
# Five samples of three such texts stay below the limit of a JSON body however they are escaped.
MAX_SHOWN_CHARACTERS = 4_000


class NothingToMeasureError(Exception):
    """No row of the dataset leaves a token to score."""


class NotFiniteError(Exception):
    """The model's loss is no finite number: its weights are damaged."""


def measure(job: EvaluationJob, progress: Callable[[int, int], None]) -> dict[str, Any]:
    """Loss, perplexity and token accuracy over all rows; exact match and speed over the first ones.

    `progress` is told how many rows are done, and of how many. Writes the predictions as JSON lines. Raises
    NothingToMeasureError and NotFiniteError.
    """
    tokenizer = load_tokenizer(job.model_folder)
    model = load_model(job.model_folder, dtype=torch.float32)
    model.train(False)
    dataset, settings = job.lease.dataset, job.lease.settings
    examples = encode_rows(
        read_rows(job.rows),
        row_format=dataset.row_format,
        mapping=dataset.mapping,
        tokenizer=tokenizer,
        max_length=min(settings.max_length, int(getattr(model.config, "max_position_embeddings", settings.max_length))),
    )
    if not examples:
        raise NothingToMeasureError
    scores = score(model, examples, progress=lambda done: progress(done, len(examples)))
    if not math.isfinite(scores.loss):
        raise NotFiniteError
    metrics = {"loss": scores.loss, "perplexity": scores.perplexity, "token_accuracy": scores.token_accuracy}
    samples: list[dict[str, Any]] = []
    if dataset.row_format != TEXT and settings.generations:
        answered = examples[: settings.generations]
        limit = _answer_limit(answered, settings.max_new_tokens)
        samples = _answers(model, tokenizer, answered, limit)
        metrics["exact_match"] = sum(sample["exact"] for sample in samples) / len(samples)
        metrics |= _speed(model, tokenizer, answered[:TIMED_ANSWERS], limit)
    with job.predictions.open("w", encoding="utf-8") as out:
        out.writelines(json.dumps(sample, ensure_ascii=False) + "\n" for sample in samples)
    return {"rows": len(examples), "metrics": metrics, "samples": [_shown(each) for each in samples[:SHOWN_SAMPLES]]}


def _shown(sample: dict[str, Any]) -> dict[str, Any]:
    """A sample as the service keeps it: no NUL, which PostgreSQL cannot store, and not endless."""
    texts = {name: sample[name].replace("\0", "\ufffd") for name in ("prompt", "expected", "generated")}
    return {**sample, **{name: text[:MAX_SHOWN_CHARACTERS] for name, text in texts.items()}}


def _answer_limit(examples: Sequence[Example], max_new_tokens: int) -> int:
    """Enough tokens for the longest expected answer and a little more."""
    longest = max(len(example.input_ids) - len(example.prompt_ids) for example in examples)
    return max(1, min(max_new_tokens, longest + MARGIN_TOKENS))


def _answers(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, examples: Sequence[Example], limit: int
) -> list[dict[str, Any]]:
    """One sample per example, in their order; prompts of similar length are answered together."""
    order = sorted(range(len(examples)), key=lambda index: len(examples[index].prompt_ids))
    texts: dict[int, str] = {}
    for start in range(0, len(order), GENERATION_BATCH):
        part = order[start : start + GENERATION_BATCH]
        answers = generate_batch(model, tokenizer, [examples[index].prompt_ids for index in part], max_new_tokens=limit)
        texts |= {index: str(tokenizer.decode(ids)) for index, ids in zip(part, answers, strict=True)}
    return [_sample(example, texts[index]) for index, example in enumerate(examples)]


def _sample(example: Example, generated: str) -> dict[str, Any]:
    texts = {"prompt": example.prompt, "expected": example.completion, "generated": generated}
    cut = {name: text[:MAX_SAMPLE_CHARACTERS] for name, text in texts.items()}
    return {**cut, "exact": is_exact(example.completion, generated)}


def _speed(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, examples: Sequence[Example], limit: int
) -> dict[str, float]:
    """Milliseconds per answer and tokens per second, one prompt at a time."""
    milliseconds, tokens = [], 0
    for example in examples:
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
