"""The built-in model is loaded, measured and generated from; batches change no number."""

import copy
import json
import math
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from slm_client.cli.demo_data import SAMPLES
from slm_ml import evaluation
from slm_ml.data import read_rows
from slm_ml.encoding import PROMPT_COMPLETION, TEXT, Example, encode_rows
from slm_ml.evaluation import mean_loss, score
from slm_ml.generation import generate_batch
from slm_ml.model import architecture, load_model, load_tokenizer, parameter_count


def commands(count: int) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (SAMPLES / "commands_eval.jsonl").read_text().splitlines()[:count]]


def encoded(rows: list[dict[str, Any]], tokenizer: PreTrainedTokenizerBase, row_format: str) -> list[Example]:
    return encode_rows(rows, row_format=row_format, mapping={}, tokenizer=tokenizer, max_length=128)


@torch.inference_mode()
def plainly_scored(model: PreTrainedModel, examples: list[Example]) -> tuple[float, float, int]:
    """Loss, token accuracy and tokens by one forward pass per row, token by token, without padding."""
    losses: list[float] = []
    right = 0
    for example in examples:
        logits = model(input_ids=torch.tensor([example.input_ids])).logits[0].double()
        for place in range(1, len(example.input_ids)):
            if example.loss_mask[place]:
                token = example.input_ids[place]
                losses.append(-float(functional.log_softmax(logits[place - 1], dim=-1)[token]))
                right += int(logits[place - 1].argmax()) == token
    return math.fsum(losses) / len(losses), right / len(losses), len(losses)


def test_the_builtin_model_is_small(nano: PreTrainedModel, nano_folder: Path) -> None:
    assert 1_000_000 < parameter_count(nano) <= 3_000_000
    assert sum(path.stat().st_size for path in nano_folder.iterdir()) <= 8 * 1024**2
    assert {parameter.dtype for parameter in nano.parameters()} == {torch.float32}
    assert architecture(nano_folder)["architectures"] == [type(nano).__name__]
    assert architecture(nano_folder)["vocab_size"] == len(nano.get_input_embeddings().state_dict()["weight"])


def test_the_builtin_model_knows_language(nano: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    by_chance = math.log(len(tokenizer))
    prose = [{"text": "Once upon a time there was a girl who lived in a small house. She was born in the forest."}]
    assert mean_loss(nano, encoded(prose, tokenizer, TEXT)) < 0.6 * by_chance
    wishes = [{"text": row["prompt"]} for row in commands(50)]
    assert mean_loss(nano, encoded(wishes, tokenizer, TEXT)) < 0.7 * by_chance


def test_weights_come_in_the_type_that_is_asked_for(nano_folder: Path) -> None:
    model = load_model(nano_folder, dtype=torch.bfloat16)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}


def test_a_folder_without_weights_is_refused(nano_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes((nano_folder / "config.json").read_bytes())
    with pytest.raises(OSError, match="safetensors"):
        load_model(tmp_path)


def test_pickled_weights_are_not_loaded(nano: PreTrainedModel, nano_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes((nano_folder / "config.json").read_bytes())
    torch.save(nano.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(OSError, match="safetensors"):
        load_model(tmp_path)


def test_a_tokenizer_without_padding_pads_with_its_stop_token(nano_folder: Path, tmp_path: Path) -> None:
    settings = json.loads((nano_folder / "tokenizer_config.json").read_text())
    del settings["pad_token"]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    (tmp_path / "tokenizer.json").write_bytes((nano_folder / "tokenizer.json").read_bytes())
    tokenizer = load_tokenizer(tmp_path)
    assert tokenizer.pad_token_id == tokenizer.eos_token_id == 1


@pytest.mark.parametrize("row_format", [PROMPT_COMPLETION, TEXT])
def test_scores_are_those_of_single_rows(
    nano: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, row_format: str
) -> None:
    rows = commands(120)
    rows = (
        rows if row_format == PROMPT_COMPLETION else [{"text": f"{row['prompt']} {row['completion']}"} for row in rows]
    )
    examples = encoded(rows, tokenizer, row_format)
    assert len({len(example.input_ids) for example in examples}) > 10
    assert sum(len(example.input_ids) for example in examples) > evaluation.BATCH_TOKENS
    loss, accuracy, tokens = plainly_scored(nano, examples)
    scores = score(nano, examples)
    assert scores.tokens == tokens
    assert scores.loss == pytest.approx(loss, rel=1e-5)
    assert scores.token_accuracy == pytest.approx(accuracy, abs=1e-3)
    assert 0 < scores.token_accuracy < 1
    assert scores.perplexity == pytest.approx(math.exp(loss), rel=1e-4)
    assert mean_loss(nano, examples) == scores.loss


def test_a_score_does_not_depend_on_the_order_of_rows(
    nano: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    examples = encoded(commands(60), tokenizer, PROMPT_COMPLETION)
    one, other = score(nano, examples), score(nano, examples[::-1])
    assert (one.tokens, one.token_accuracy) == (other.tokens, other.token_accuracy)
    assert one.loss == pytest.approx(other.loss, rel=1e-6)
    assert one.perplexity == math.exp(one.loss)


def test_progress_counts_every_example(nano: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    told: list[int] = []
    examples = encoded(commands(120), tokenizer, PROMPT_COMPLETION)
    score(nano, examples, progress=told.append)
    assert len(told) > 1
    assert told == sorted(set(told))
    assert told[-1] == len(examples)


@pytest.mark.parametrize("training", [True, False])
def test_measuring_leaves_the_mode_of_a_model_alone(
    nano: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, training: bool
) -> None:
    model = copy.deepcopy(nano)
    model.train(training)
    score(model, encoded(commands(2), tokenizer, PROMPT_COMPLETION))
    assert model.training is training


def test_nothing_to_score_is_an_error(nano: PreTrainedModel) -> None:
    with pytest.raises(ValueError, match="no token to score"):
        score(nano, [])
    with pytest.raises(ValueError, match="no token to score"):
        score(nano, [Example([5, 6, 7], [1, 0, 0], [5], "", "")])


@torch.inference_mode()
def plainly_generated(model: PreTrainedModel, prompt: list[int], *, stop: int | None, limit: int) -> list[int]:
    """Greedy generation, one forward pass over everything per token."""
    ids = list(prompt)
    while len(ids) < len(prompt) + limit:
        token = int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax())
        if token == stop:
            break
        ids.append(token)
    return ids[len(prompt) :]


@pytest.fixture(scope="module")
def taught(nano: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    """The built-in model after it has learned two rows by heart."""
    model = copy.deepcopy(nano)
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for _ in range(40):
        for example in encoded(TAUGHT, tokenizer, PROMPT_COMPLETION):
            targets = [
                token if mask else -100 for token, mask in zip(example.input_ids, example.loss_mask, strict=True)
            ]
            loss = model(input_ids=torch.tensor([example.input_ids]), labels=torch.tensor([targets])).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    model.train(False)
    return model


TAUGHT = [
    {"prompt": "turn on the light in the kitchen, please", "completion": '{"light": "kitchen"}'},
    {"prompt": "stop", "completion": '{"action": "stop", "room": "everywhere"}'},
]


def test_generation_ends_at_the_stop_token(taught: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    examples = encoded(TAUGHT, tokenizer, PROMPT_COMPLETION)
    answers = generate_batch(taught, tokenizer, [example.prompt_ids for example in examples], max_new_tokens=60)
    assert [tokenizer.decode(answer) for answer in answers] == [row["completion"] for row in TAUGHT]
    for answer, example in zip(answers, examples, strict=True):
        assert [*answer, tokenizer.eos_token_id] == example.input_ids[len(example.prompt_ids) :]


def test_a_padded_batch_generates_what_each_prompt_generates_alone(
    nano: PreTrainedModel, taught: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    rows = [*TAUGHT, *commands(10)]
    prompts = [example.prompt_ids for example in encoded(rows, tokenizer, PROMPT_COMPLETION)]
    assert len({len(prompt) for prompt in prompts}) > 3
    for model in (nano, taught):
        together = generate_batch(model, tokenizer, prompts, max_new_tokens=24)
        alone = [generate_batch(model, tokenizer, [prompt], max_new_tokens=24)[0] for prompt in prompts]
        assert together == alone
        expected = [plainly_generated(model, prompt, stop=tokenizer.eos_token_id, limit=24) for prompt in prompts]
        assert together == expected
        assert any(together)


@pytest.mark.parametrize("limit", [1, 3, 7])
def test_generation_keeps_its_limit(taught: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, limit: int) -> None:
    prompts = [example.prompt_ids for example in encoded(TAUGHT, tokenizer, PROMPT_COMPLETION)]
    full = generate_batch(taught, tokenizer, prompts, max_new_tokens=60)
    assert min(map(len, full)) > 7
    assert generate_batch(taught, tokenizer, prompts, max_new_tokens=limit) == [answer[:limit] for answer in full]


def test_no_prompts_give_no_answers(nano: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    assert generate_batch(nano, tokenizer, [], max_new_tokens=5) == []


def test_rows_of_a_parquet_file_are_read_in_order(tmp_path: Path) -> None:
    rows = [
        {"prompt": f"é {n}", "n": n, "messages": [{"role": "user", "content": "hi"}], "extra": None if n % 2 else 1.5}
        for n in range(1000)
    ]
    pl.DataFrame(rows).write_parquet(tmp_path / "rows.parquet", row_group_size=100)
    assert read_rows(tmp_path / "rows.parquet") == rows
