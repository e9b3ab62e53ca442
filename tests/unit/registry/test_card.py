"""Cards as markdown: metadata that YAML reads, tables that hold, and no section without facts."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from slm_registry.schemas import Card, ModelEvaluation
from slm_registry.service.card_text import render
from slm_shared.storage.ids import new_id

NOW = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
DATASET_ID = new_id()


def model_facts(**changes: Any) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "id": new_id(),
        "name": "commands-v2",
        "family": "commands",
        "version": 2,
        "is_latest": True,
        "kind": "fine_tuned",
        "base_model": {"id": new_id(), "name": "nano-v1"},
        "experiment_id": new_id(),
        "run_id": new_id(),
        "run_name": "Run",
        "goal": None,
        "method": "lora",
        "training_dataset": None,
        "evaluation_dataset": None,
        "artifact_prefix": "artifacts/x",
        "manifest_key": "artifacts/x/manifest.json",
        "manifest_sha256": "c" * 64,
        "size_bytes": 5637144,
        "parameter_count": 2816064,
        "architecture": {"architectures": [], "hidden_size": 192},
        "config": {"learning_rate": 0.0005, "method": "lora", "early_stopping": None},
        "steps": 60,
        "train_loss": 0.123456789,
        "eval_loss": None,
        "duration_s": 12.34,
        "created_at": NOW,
    }
    return facts | changes


def make_card(*, model: dict[str, Any] | None = None, **changes: Any) -> Card:
    facts: dict[str, Any] = {
        "model": model or model_facts(),
        "training_dataset": {"id": new_id(), "name": "orders-v1", "sha256": "a" * 64, "rows": 2400},
        "evaluation_dataset": None,
        "evaluations": [],
        "base_evaluations": [],
        "files": [{"path": "model.safetensors", "size_bytes": 5, "sha256": "d" * 64}],
    }
    return Card.model_validate(facts | changes)


def evaluation(name: str, metrics: dict[str, float], *, dataset_id: UUID = DATASET_ID) -> ModelEvaluation:
    return ModelEvaluation(
        id=new_id(),
        model_id=new_id(),
        model_name=name,
        dataset_id=dataset_id,
        dataset_name="orders-eval-v1",
        rows=1200,
        metrics=metrics,
        completed_at=NOW,
    )


def front_matter(text: str) -> dict[str, Any]:
    before, front, _ = text.split("---\n", 2)
    assert before == ""
    found: dict[str, Any] = yaml.safe_load(front)
    return found


def row(text: str, name: str) -> list[str]:
    """The cells of the one table row that begins with `name`."""
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {name} |")]
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def test_metadata_names_base_data_and_method() -> None:
    assert front_matter(render(make_card())) == {
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["slm-platform", "lora"],
        "base_model": "nano-v1",
        "datasets": ["orders-v1"],
    }


def test_metadata_holds_every_score() -> None:
    card = make_card(evaluations=[evaluation("commands-v2", {"perplexity": 1.5, "loss": 0.25})])
    (index,) = front_matter(render(card))["model-index"]
    assert index["name"] == "commands-v2"
    assert index["results"] == [
        {
            "task": {"type": "text-generation"},
            "dataset": {"name": "orders-eval-v1", "type": "orders-eval-v1"},
            "metrics": [{"type": "loss", "value": 0.25}, {"type": "perplexity", "value": 1.5}],
        }
    ]


def test_numbers_are_written_for_people() -> None:
    text = render(make_card())
    assert row(text, "Parameters") == ["2,816,064"]
    assert row(text, "Size") == ["5,637,144 bytes"]
    assert row(text, "Training loss") == ["0.123457"]
    assert row(text, "learning rate") == ["0.0005"]
    assert row(text, "Duration") == ["12.3 s"]
    assert row(text, "Training data") == ["orders-v1, 2,400 rows"]
    assert row(text, "Created") == ["2026-01-02T03:04:05+00:00"]


def test_the_latest_version_is_marked() -> None:
    assert row(render(make_card()), "Family and version") == ["commands, 2 (latest)"]
    assert row(render(make_card(model=model_facts(is_latest=False))), "Family and version") == ["commands, 2"]


def test_what_is_not_known_is_left_out() -> None:
    text = render(make_card())
    for name in ("Evaluation loss", "Evaluation data", "Evaluation rows", "early stopping", "architectures", "method"):
        assert f"| {name} |" not in text
    assert "None" not in text
    assert "## Evaluation" not in text


def test_a_base_model_has_no_training_section() -> None:
    nothing: dict[str, Any] = {"experiment_id": None, "base_model": None, "method": None, "kind": "base", "config": {}}
    text = render(make_card(model=model_facts(**nothing), training_dataset=None))
    assert "## Training" not in text
    assert "base_model" not in front_matter(text)
    assert row(text, "Kind") == ["base"]


def test_the_chain_leads_from_rows_to_files() -> None:
    dataset = {"id": DATASET_ID, "name": "orders-eval-v1", "sha256": "b" * 64, "rows": None}
    text = render(make_card(evaluation_dataset=dataset))
    chain = text.split("## Lineage")[1]
    assert row(chain, "Training rows") == ["orders-v1", f"`{'a' * 64}`"]
    assert row(chain, "Evaluation rows") == ["orders-eval-v1", f"`{'b' * 64}`"]
    assert row(chain, "Artifact manifest") == ["artifacts/x/manifest.json", f"`{'c' * 64}`"]
    assert row(chain, "File") == ["model.safetensors", f"`{'d' * 64}`"]


def test_scores_stand_beside_those_of_the_base_model() -> None:
    mine = evaluation("commands-v2", {"loss": 0.25, "exact_match": 0.5})
    elsewhere = evaluation("nano-v1", {"loss": 9.0}, dataset_id=new_id())
    text = render(make_card(evaluations=[mine], base_evaluations=[elsewhere, evaluation("nano-v1", {"loss": 4.125})]))
    assert "### orders-eval-v1, 1,200 rows\n" in text
    assert "| | commands-v2 | nano-v1 |\n|---|---|---|\n" in text
    assert row(text, "Loss") == ["0.25", "4.125"]
    assert row(text, "Exact match") == ["0.5", ""]
    assert "Perplexity" not in text


def test_scores_stand_alone_when_the_base_model_was_not_measured() -> None:
    text = render(make_card(evaluations=[evaluation("commands-v2", {"loss": 0.25})]))
    assert "| | commands-v2 |\n|---|---|\n| Loss | 0.25 |\n" in text


@pytest.mark.parametrize(("name", "cell"), [("a|b", r"a\|b"), ("a\nb", "a b")])
def test_a_name_cannot_break_a_table(name: str, cell: str) -> None:
    assert f"| Run | {cell} |" in render(make_card(model=model_facts(run_name=name)))


@given(st.from_regex(r"[a-z0-9]+(-[a-z0-9]+)*-v[1-9][0-9]{0,3}", fullmatch=True))
def test_metadata_keeps_any_name(name: str) -> None:
    card = make_card(
        model=model_facts(name=name, base_model={"id": new_id(), "name": name}),
        training_dataset={"id": new_id(), "name": name, "sha256": "a" * 64, "rows": 1},
        evaluations=[evaluation(name, {"loss": 1.5})],
    )
    facts = front_matter(render(card))
    assert (facts["base_model"], facts["datasets"], facts["model-index"][0]["name"]) == (name, [name], name)


@pytest.mark.parametrize("value", [1e-05, 2.5e-7, 1e16, 0.1, 3.0, -1e-300])
def test_scores_of_every_size_stay_numbers(value: float) -> None:
    text = render(make_card(evaluations=[evaluation("commands-v2", {"loss": value})]))
    assert front_matter(text)["model-index"][0]["results"][0]["metrics"] == [{"type": "loss", "value": value}]
