"""Do the numbers agree with the field's own tools, and how much quicker are they found?

Measures the built-in model on commands and their JSON: once with the platform's code, once with bare transformers, one
row at a time. Both in one run on the same rows, so that differences and ratios mean something.

    python benchmarks/evaluation.py                    # the platform beside bare transformers
    python benchmarks/evaluation.py --lm-eval          # lm-eval's likelihoods beside them, where it is installed

Held: loss, perplexity and token accuracy within 1e-4 relative; answers the same; >= 3 times the rate of a loop over
`generate`, on a CPU.
"""

import argparse
import json
import math
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import torch
from rich.console import Console
from rich.table import Table

from slm_client.cli.demo_data import SAMPLES
from slm_evaluation.worker.answering import answer_all, answer_limit
from slm_ml.encoding import Example, encode_rows
from slm_ml.evaluation import score
from slm_ml.model import load_model, load_tokenizer

NANO = Path(str(files("slm_ml"))) / "builtin" / "nano-v1"
ROWS = 400
ANSWERED = 64
ROUNDS = 3

T = TypeVar("T")


def examples_of(rows: int, tokenizer: Any) -> list[Example]:
    """Encoded rows."""
    return encode_rows(commands(rows), row_format="prompt/completion", mapping={}, tokenizer=tokenizer, max_length=512)


def commands(rows: int) -> list[dict[str, Any]]:
    """The first rows of the commands that ship with the project."""
    lines = (SAMPLES / "commands_train.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines[:rows]]


@torch.inference_mode()
def bare_scores(model: Any, examples: Sequence[Example]) -> dict[str, float]:
    """Loss, perplexity and token accuracy by transformers' own loss, one row at a time."""
    loss, right, tokens = 0.0, 0, 0
    for example in examples:
        ids = torch.tensor([example.input_ids])
        labels = torch.tensor([[i if m else -100 for i, m in zip(example.input_ids, example.loss_mask, strict=True)]])
        out = model(input_ids=ids, labels=labels)
        counted = labels[:, 1:] != -100
        loss += float(out.loss) * int(counted.sum())
        right += int((out.logits[:, :-1].argmax(-1) == labels[:, 1:])[counted].sum())
        tokens += int(counted.sum())
    return {"loss": loss / tokens, "perplexity": math.exp(loss / tokens), "token_accuracy": right / tokens}


@torch.inference_mode()
def bare_answers(model: Any, tokenizer: Any, examples: Sequence[Example], *, limit: int) -> list[str]:
    """What a loop over `generate` answers, one prompt at a time."""
    texts = []
    for example in examples:
        ids = torch.tensor([example.prompt_ids])
        out = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=limit,
            do_sample=False,
            pad_token_id=tokenizer.pad_token_id,
        )
        texts.append(str(tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True)))
    return texts


def lm_eval_scores(examples: Sequence[Example]) -> dict[str, float]:
    """Loss and perplexity from the likelihoods that lm-eval computes for the same tokens."""
    model = import_module("lm_eval.models.huggingface").HFLM(
        pretrained=str(NANO), device="cpu", dtype="float32", batch_size=8
    )
    requests = [(("", ""), e.prompt_ids, e.input_ids[len(e.prompt_ids) :]) for e in examples]
    found = model._loglikelihood_tokens(requests, disable_tqdm=True)
    tokens = sum(len(answer) for _, _, answer in requests)
    loss = -sum(likelihood for likelihood, _ in found) / tokens
    return {"loss": loss, "perplexity": math.exp(loss)}


def timed(work: Callable[[], T], *, rounds: int) -> tuple[T, float]:
    """What came of it, and the best of some rounds in seconds."""
    best, result = math.inf, None
    for _ in range(rounds):
        begun = time.perf_counter()
        result = work()
        best = min(best, time.perf_counter() - begun)
    assert result is not None
    return result, best


def agreement(model: Any, examples: Sequence[Example], *, with_lm_eval: bool) -> Table:
    """The platform's numbers beside the others'."""
    ours = score(model, examples)
    others = {"transformers": bare_scores(model, examples)}
    if with_lm_eval:
        others["lm-eval"] = lm_eval_scores(examples)
    table = Table(title=f"Agreement, {len(examples)} rows, {ours.tokens} tokens")
    for title in ("metric", "platform", "beside", "value", "relative difference"):
        table.add_column(title, justify="left" if title in ("metric", "beside") else "right")
    for tool, values in others.items():
        for name, value in values.items():
            mine = getattr(ours, name)
            table.add_row(name, f"{mine:.8f}", tool, f"{value:.8f}", f"{abs(mine - value) / value:.1e}")
    return table


def throughput(model: Any, tokenizer: Any, examples: Sequence[Example], *, rounds: int) -> Table:
    """Answers per second, batched and sorted by length, beside one at a time."""
    limit = answer_limit(examples, 96)
    together, quick_s = timed(lambda: answer_all(model, tokenizer, examples, limit=limit), rounds=rounds)
    alone, slow_s = timed(lambda: bare_answers(model, tokenizer, examples, limit=limit), rounds=rounds)
    same = sum(one.strip() == other.strip() for one, other in zip(together, alone, strict=True))
    table = Table(title=f"Answers to {len(examples)} prompts, up to {limit} tokens each, best of {rounds}")
    for title in ("way", "seconds", "answers/s", "ratio"):
        table.add_column(title, justify="left" if title == "way" else "right")
    count = len(examples)
    table.add_row("loop over generate", f"{slow_s:.2f}", f"{count / slow_s:.1f}", "1.0")
    table.add_row("platform", f"{quick_s:.2f}", f"{count / quick_s:.1f}", f"{slow_s / quick_s:.1f}")
    table.caption = f"{same} of {count} answers are the same text."
    return table


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--answered", type=int, default=ANSWERED)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--lm-eval", action="store_true")
    options = parser.parse_args()
    model, tokenizer = load_model(NANO), load_tokenizer(NANO)
    model.train(False)
    examples = examples_of(options.rows, tokenizer)
    console = Console()
    console.print(agreement(model, examples, with_lm_eval=options.lm_eval))
    console.print(throughput(model, tokenizer, examples[: options.answered], rounds=options.rounds))


if __name__ == "__main__":
    main()
