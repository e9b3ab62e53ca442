"""Measuring one model on one dataset, from files to numbers."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import psutil
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from slm_evaluation.domain import is_exact
from slm_evaluation.worker.answering import answer_all, answer_limit, measure_speed
from slm_evaluation.worker.job import EvaluationJob, RefusedError
from slm_evaluation.worker.memory import forget_peak, peak_bytes
from slm_evaluation.worker.metrics import means, score_corpus, score_rows
from slm_evaluation.worker.predictions import write_index, write_predictions
from slm_ml.data import read_rows
from slm_ml.encoding import TEXT, Example, encode_numbered
from slm_ml.evaluation import Scores, score
from slm_ml.model import load_model, load_tokenizer
from slm_shared.metrics import MEASURED, Group, names_in

SHOWN_SAMPLES = 5
MAX_SAMPLE_CHARACTERS = 20_000
# Five samples of three such texts stay below the limit of a JSON body however they are escaped.
MAX_SHOWN_CHARACTERS = 4_000


def measure(job: EvaluationJob, progress: Callable[[int, int], None]) -> dict[str, Any]:
    """Loss, perplexity and token accuracy over all rows; what answers score and how fast they come over the first ones.

    `progress` is told how many rows are done, and of how many. Writes the predictions and their index. Raises
    RefusedError when no row leaves a token to score, and for a model whose loss is not finite.
    """
    forget_peak()
    tokenizer = load_tokenizer(job.model_folder)
    model = load_model(job.model_folder, dtype=torch.float32)
    model.train(False)
    numbered = _encode(job, model, tokenizer)
    if not numbered:
        raise RefusedError("nothing_to_measure", "No row leaves a token to score.")
    numbers, examples = [number for number, _ in numbered], [example for _, example in numbered]
    scores = score(model, examples, progress=lambda done: progress(done, len(examples)))
    if not math.isfinite(scores.loss):
        message = "The loss of the model is not a finite number: its weights are damaged."
        raise RefusedError("model_not_finite", message)
    metrics = {"loss": scores.loss, "perplexity": scores.perplexity, "token_accuracy": scores.token_accuracy}
    answered = _answered(job, examples)
    texts: list[str] = []
    columns: dict[str, list[float]] = {}
    if answered:
        texts, columns, found = _answer(job, model, tokenizer, answered, lambda: progress(len(examples), len(examples)))
        metrics |= found
    samples = [
        _sample(example, text) | _row_facts(numbers, scores, columns, place)
        for place, (example, text) in enumerate(zip(answered, texts, strict=True))
    ]
    places = write_predictions(job.predictions, samples)
    write_index(job.index, numbers=numbers, scores=scores.rows, columns=columns, places=places)
    return {"rows": len(examples), "metrics": metrics, "samples": [_shown(each) for each in samples[:SHOWN_SAMPLES]]}


def _encode(
    job: EvaluationJob, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> list[tuple[int, Example]]:
    dataset, wanted = job.lease.dataset, job.lease.settings.max_length
    return encode_numbered(
        read_rows(job.rows),
        row_format=dataset.row_format,
        mapping=dataset.mapping,
        tokenizer=tokenizer,
        max_length=min(wanted, int(getattr(model.config, "max_position_embeddings", wanted))),
    )


def _answered(job: EvaluationJob, examples: Sequence[Example]) -> Sequence[Example]:
    """The rows that the model has to answer in full."""
    settings = job.lease.settings
    is_asked = settings.metrics is None or set(settings.metrics) - set(names_in(Group.TEACHER_FORCED))
    return examples[: settings.generations] if job.lease.dataset.row_format != TEXT and is_asked else []


def _answer(
    job: EvaluationJob,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    examples: Sequence[Example],
    progress: Callable[[], None],
) -> tuple[list[str], dict[str, list[float]], dict[str, float]]:
    """The answers, what each scores, and what they score together."""
    wanted = MEASURED if job.lease.settings.metrics is None else job.lease.settings.metrics
    limit = answer_limit(examples, job.lease.settings.max_new_tokens)
    texts = answer_all(model, tokenizer, examples, limit=limit, progress=progress)
    expected = [example.completion for example in examples]
    columns = score_rows(expected, texts, wanted)
    metrics = means(columns, wanted) | score_corpus(expected, texts, wanted)
    if set(wanted) & set(names_in(Group.SPEED)):
        speed = measure_speed(model, tokenizer, examples, limit=limit)
        speed["memory_bytes"] = float(psutil.Process().memory_info().rss)
        speed["peak_memory_bytes"] = float(peak_bytes())
        metrics |= speed
    return texts, columns, metrics


def _sample(example: Example, generated: str) -> dict[str, Any]:
    texts = {"prompt": example.prompt, "expected": example.completion, "generated": generated}
    cut = {name: text[:MAX_SAMPLE_CHARACTERS] for name, text in texts.items()}
    return {**cut, "exact": is_exact(example.completion, generated)}


def _row_facts(numbers: Sequence[int], scores: Scores, columns: dict[str, list[float]], place: int) -> dict[str, Any]:
    """Which row it is and what it scores; the loss is the mean per token here."""
    row = scores.rows[place]
    values = {name: column[place] for name, column in columns.items() if name != "exact_match"}
    return {"row": numbers[place], "loss": row.loss / row.tokens if row.tokens else None, "scores": values}


def _shown(sample: dict[str, Any]) -> dict[str, Any]:
    """A sample as the service keeps it: no NUL, which PostgreSQL cannot store, and not endless."""
    texts = {name: sample[name].replace("\0", "\ufffd") for name in ("prompt", "expected", "generated")}
    return {**sample, **{name: text[:MAX_SHOWN_CHARACTERS] for name, text in texts.items()}}
