"""What can be trained, and that the ways to divide the work change nothing of it."""

import math
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from slm_ml.encoding import encode_preference
from slm_ml.model import load_model
from slm_ml.tokenizer import load_tokenizer
from slm_training.worker.child.batches import PackingCollator, packed_rows
from slm_training.worker.child.preflight import plan_training
from slm_training.worker.child.rows import padding_share, split_rows
from slm_training.worker.errors import TrainingError
from tests.support.training_jobs import NANO, make_job, train

CHANCE = random.Random(0)
ROWS = [{"prompt": f"turn on {n}", "completion": "yes " * CHANCE.randint(1, 20)} for n in range(24)]
PAIRS = [{"prompt": f"question {n}", "chosen": "a good answer", "rejected": "a bad one"} for n in range(16)]
TEXTS = [{"text": f"once upon a time there was number {n} " * 20} for n in range(8)]


def test_packing_and_accumulation_leave_the_losses_as_they_are(tmp_path: Path) -> None:
    whole = train(tmp_path / "whole", ROWS)
    shared = train(tmp_path / "shared", ROWS, batch_size=2, gradient_accumulation_steps=4)
    single = train(tmp_path / "single", ROWS, batch_size=1, gradient_accumulation_steps=8)
    assert whole.chosen["packing"] is True
    assert len(whole.values("loss")) == 6
    for other in (shared, single):
        assert other.values("loss") == pytest.approx(whole.values("loss"), rel=1e-3)
        assert other.result is not None
        assert whole.result is not None
        assert other.result.trained_tokens == whole.result.trained_tokens


def test_a_preference_training_begins_at_ln_2_and_learns_to_prefer(tmp_path: Path) -> None:
    said = train(tmp_path / "dpo", PAIRS, row_format="chosen/rejected", objective="dpo", learning_rate=1e-4)
    assert said.values("loss")[0] == pytest.approx(math.log(2), abs=1e-5)
    assert said.values("loss")[-1] < 0.5
    assert said.values("reward_accuracy")[-1] == 1.0
    base, tuned = (margin_of(folder) for folder in (NANO, said.folder))
    assert tuned > base


def margin_of(folder: Path) -> float:
    """By how many nats the chosen answer is likelier than the rejected one, summed over their tokens."""
    model, tokenizer = load_model(folder), load_tokenizer(folder)
    pair = encode_preference(PAIRS[0], mapping={}, tokenizer=tokenizer, max_length=128)
    assert pair is not None
    found = []
    for example in pair:
        ids = torch.tensor([example.input_ids])
        with torch.no_grad():
            scores = model(input_ids=ids).logits.log_softmax(-1)
        found.append(sum(
            float(scores[0, at - 1, example.input_ids[at]]) for at, counted in enumerate(example.loss_mask) if counted
        ))  # fmt: skip
    return found[0] - found[1]


def test_texts_are_joined_and_nothing_is_thrown_away(tmp_path: Path) -> None:
    said = train(tmp_path / "texts", TEXTS, row_format="text", objective="pretrain", max_length=64, epochs=1)
    tokenizer = load_tokenizer(NANO)
    tokens = sum(len(tokenizer(row["text"], add_special_tokens=False)["input_ids"]) + 1 for row in TEXTS)
    assert said.result is not None
    assert said.result.trained_tokens in (tokens, tokens - 1)
    assert said.result.steps == -(-math.ceil(tokens / 64) // 8)


def test_a_base_that_was_preferred_can_also_be_imitated(tmp_path: Path) -> None:
    said = train(tmp_path / "chosen", PAIRS, row_format="chosen/rejected", objective="sft")
    assert said.values("loss")[-1] < said.values("loss")[0]


def test_a_training_stops_early_and_keeps_its_best_weights(tmp_path: Path) -> None:
    said = train(
        tmp_path / "early", ROWS, validation_split=0.25, early_stopping_patience=1, save_best_model=True,
        learning_rate=0.05, epochs=20, scheduler="constant", max_grad_norm=1000.0,
    )  # fmt: skip
    assert said.result is not None
    assert said.result.steps < 20 * 3
    assert said.result.best_step is not None
    assert said.result.best_step < said.result.steps
    assert said.result.eval_loss == pytest.approx(min(said.values("eval_loss")), rel=5e-3)
    assert any(line.startswith("Stopped at step") for line in said.lines)


@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.* is deprecated:FutureWarning")
def test_lora_changes_only_the_modules_that_were_named(tmp_path: Path) -> None:
    said = train(
        tmp_path / "lora", ROWS, method="lora", lora_target_modules="q_proj,v_proj", lora_dropout=0.1, epochs=1
    )
    before, after = load_file(NANO / "model.safetensors"), load_file(said.folder / "model.safetensors")
    changed = {name.rsplit(".", 2)[-2] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"q_proj", "v_proj"}


@pytest.mark.parametrize("optimizer", ["adafactor", "sgd"])
def test_other_optimizers_train(tmp_path: Path, optimizer: str) -> None:
    said = train(tmp_path / optimizer, ROWS, optimizer=optimizer, scheduler="cosine", max_steps=3, warmup_steps=1)
    assert said.result is not None
    assert said.result.steps == 3
    assert said.values("learning_rate")[0] == 0.0 or said.values("learning_rate")[0] < said.values("learning_rate")[1]


def test_the_loss_on_prompts_is_wanted_only_when_asked_for(tmp_path: Path) -> None:
    answers = train(tmp_path / "answers", ROWS, max_steps=1)
    everything = train(tmp_path / "everything", ROWS, max_steps=1, completion_only_loss=False)
    assert answers.values("loss") != everything.values("loss")


@pytest.mark.parametrize(
    ("config", "code"),
    [
        ({"precision": "fp16"}, "precision_not_supported"),
        ({"method": "lora", "lora_target_modules": "nothing"}, "lora_target_not_found"),
    ],
)
def test_settings_that_cannot_work_are_named(tmp_path: Path, config: dict[str, Any], code: str) -> None:
    with pytest.raises(TrainingError) as caught:
        train(tmp_path / "refused", ROWS, **config)
    assert caught.value.code == code


def test_rows_that_are_all_longer_than_max_length_are_named(tmp_path: Path) -> None:
    rows = [{"prompt": "a long prompt " * 20, "completion": "yes"}] * 4
    for attempt in (train, plan):
        with pytest.raises(TrainingError) as caught:
            attempt(tmp_path / attempt.__name__, rows, max_length=8)
        assert caught.value.code == "no_trainable_tokens"


def plan(folder: Path, rows: list[dict[str, Any]], **config: Any) -> Any:
    return plan_training(make_job(folder, rows, row_format="prompt/completion", **config))


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (("config.json", '"model_type": "llama"', '"model_type": "unheard-of"'), "base_model_not_supported"),
        (("config.json", "{", "not json"), "base_model_not_supported"),
        (("tokenizer_config.json", '"eos_token"', '"was_eos_token"'), "no_stop_token"),
    ],
)
def test_a_base_model_that_cannot_be_trained_is_named(tmp_path: Path, damage: tuple[str, str, str], code: str) -> None:
    shutil.copytree(NANO, tmp_path / "base")
    name, old, new = damage
    path = tmp_path / "base" / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(TrainingError) as caught:
        train(tmp_path / "job", ROWS, base=tmp_path / "base")
    assert caught.value.code == code


def test_pickled_weights_are_not_even_opened(tmp_path: Path) -> None:
    shutil.copytree(NANO, tmp_path / "base")
    (tmp_path / "base" / "model.safetensors").rename(tmp_path / "base" / "pytorch_model.bin")
    with pytest.raises(TrainingError) as caught:
        train(tmp_path / "job", ROWS, base=tmp_path / "base")
    assert caught.value.code == "base_model_not_supported"


def test_a_plan_measures_and_trains_nothing(tmp_path: Path) -> None:
    job = make_job(tmp_path / "plan", ROWS, row_format="prompt/completion", epochs=4, max_length=24)
    report = plan_training(job)
    assert report["total_steps"] == 12
    assert report["tokens"]["rows"] == len(ROWS)
    assert report["tokens"]["truncated_rows"] > 0
    memory, duration = report["memory_gb"], report["duration_s"]
    assert 0 < memory["low"] <= memory["expected"] <= memory["high"]
    assert 0 < duration["low"] <= duration["expected"] <= duration["high"]
    assert report["measured_steps"] == 6
    assert any("are cut at 24 tokens" in each for each in report["warnings"])
    assert report["chosen"]["precision"]["reason"] == "The configuration says so."
    assert not job.output_folder.exists()


@pytest.mark.parametrize(
    ("config", "code"),
    [
        ({"max_length": 14}, "stop_token_not_trained"),
        ({"batch_size": 1024 * 1024 * 16}, "will_not_fit"),
    ],
)
def test_a_plan_refuses_what_cannot_work(tmp_path: Path, config: dict[str, Any], code: str) -> None:
    rows = [{"prompt": "turn on", "completion": "yes " * 20}] * 8
    with pytest.raises(TrainingError) as caught:
        plan(tmp_path / "plan", rows, **config)
    assert caught.value.code == code


LENGTHS = st.lists(st.integers(1, 60), min_size=1, max_size=40)


@given(LENGTHS)
def test_rows_are_packed_once_each_and_never_wider_than_the_longest(lengths: list[int]) -> None:
    rows = packed_rows(lengths)
    assert sorted(index for row in rows for index in row) == list(range(len(lengths)))
    assert all(sum(lengths[index] for index in row) <= max(lengths) for row in rows)
    assert len(rows) * max(lengths) <= 2 * sum(lengths) + max(lengths)
    assert 0 <= padding_share(lengths, 8) < 1


@given(LENGTHS)
def test_packed_labels_never_cross_from_one_row_into_the_next(lengths: list[int]) -> None:
    features = [{"input_ids": [row + 1] * length, "labels": [-100] + [row + 1] * (length - 1)}
                for row, length in enumerate(lengths)]  # fmt: skip
    batch = PackingCollator()(features)
    assert int((batch["segments"] > 0).sum()) == sum(lengths)
    starts = batch["position_ids"] == 0
    assert bool((batch["labels"][starts] == -100).all())
    inside = batch["labels"] != -100
    assert torch.equal(batch["labels"][inside], batch["input_ids"][inside])


@given(count=st.integers(1, 200), share=st.floats(0.01, 0.5), seed=st.integers(0, 99))
def test_held_out_rows_are_the_same_every_time(count: int, share: float, seed: int) -> None:
    rows = [{"n": n} for n in range(count)]
    kept, held = split_rows(rows, share, seed=seed)
    assert (kept, held) == split_rows(rows, share, seed=seed)
    assert sorted(row["n"] for row in kept + held) == list(range(count))
    assert len(held) >= 1
