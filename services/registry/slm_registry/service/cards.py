"""The card of a model, and what it takes to reproduce it."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import yaml
from sqlalchemy.ext.asyncio import AsyncSession

from slm_registry import store
from slm_registry.errors import NotReproducibleError
from slm_registry.schemas import (
    ArtifactFile,
    Card,
    DatasetFacts,
    Model,
    ModelEvaluation,
    Reproduction,
    TokenizerFacts,
)
from slm_registry.service.artifacts import Artifact
from slm_registry.service.lineage import drawing_of_model
from slm_registry.tables import DatasetRow, ModelRow
from slm_shared.references import PinnedReference

MAX_PARENTS = 50
MAX_DRAWN = 40
OBJECTIVES = {
    "prompt/completion": "next-token cross-entropy on the completions",
    "messages": "next-token cross-entropy on the assistant's turns",
    "text": "next-token cross-entropy on the whole text",
}
RECORD = "training.json"


async def make_card(session: AsyncSession, artifact: Artifact) -> Card:
    """The card of a model, from what is known now."""
    row, model = artifact.model, Model.of(artifact.model)
    references = [each for each in (model.training_dataset, model.evaluation_dataset) if each]
    datasets = await store.find_datasets(session, [each.id for each in references])
    ids = [row.id] + ([model.base_model.id] if model.base_model else [])
    evaluations = [ModelEvaluation.of(each) for each in await store.evaluations_of(session, ids)]
    mine = [each for each in evaluations if each.model_id == row.id]
    measured = {each.dataset_id for each in mine}
    record = await artifact.json(RECORD) or {}
    return Card(
        model=model,
        training_dataset=_facts(model.training_dataset, datasets),
        evaluation_dataset=_facts(model.evaluation_dataset, datasets),
        evaluations=mine,
        base_evaluations=[each for each in evaluations if each.model_id != row.id and each.dataset_id in measured],
        files=[ArtifactFile(**file.model_dump()) for file in artifact.files.files],
        tokenizer=await _tokenizer(artifact),
        objective=OBJECTIVES.get((record.get("training_dataset") or {}).get("row_format", "")),
        parents=await _parents(session, row),
        versions={name: str(each) for name, each in (record.get("versions") or {}).items()},
        code_version=code_version_of(row),
        regressions=[fact.body for fact in await store.regressions_of(session, row.id)],
        signed=row.signature is not None,
        lineage=await drawing_of_model(session, row, at_most=MAX_DRAWN),
    )


def _facts(reference: PinnedReference | None, known: dict[UUID, DatasetRow]) -> DatasetFacts | None:
    if reference is None:
        return None
    row = known.get(reference.id)
    return DatasetFacts(id=reference.id, name=reference.name, sha256=reference.sha256, rows=row.rows if row else None)


async def _tokenizer(artifact: Artifact) -> TokenizerFacts | None:
    config = await artifact.json("tokenizer_config.json")
    if config is None:
        return None
    template = artifact.files.file("chat_template.jinja")
    longest = config.get("model_max_length")
    return TokenizerFacts(
        kind=config.get("tokenizer_class"),
        # Libraries write 1e30 for a tokenizer without a limit.
        max_length=int(longest) if isinstance(longest, int | float) and longest < 1e9 else None,
        has_chat_template=template is not None or "chat_template" in config,
        chat_template_sha256=template.sha256 if template else None,
    )


async def _parents(session: AsyncSession, row: ModelRow) -> list[PinnedReference]:
    """The base of a model, the base of that, and so on."""
    found: list[PinnedReference] = []
    current: ModelRow | None = row
    while current is not None and current.base_model is not None and len(found) < MAX_PARENTS:
        reference = current.base_model
        current = (await store.models_of(session, [reference.id])).get(reference.id)
        found.append(reference.model_copy(update={"sha256": current.manifest_sha256 if current else None}))
    return found


def code_version_of(row: ModelRow) -> str | None:
    """The platform's code that trained a model, as its trainer said."""
    found = (row.config or {}).get("version_slm-platform")
    return None if found is None else str(found)


async def reproduce(artifact: Artifact) -> Reproduction:
    """What it takes to make a model again. Raises NotReproducibleError for one that no training here made."""
    row, record = artifact.model, await artifact.json(RECORD)
    if row.experiment_id is None or record is None or "config" not in record:
        raise NotReproducibleError("The model was not trained here, so there is no recipe for it.")
    config = _config(row, record)
    return Reproduction(
        model=row.name,
        config=config,
        config_yaml=yaml.safe_dump(config, sort_keys=False, allow_unicode=True),
        seed=record["config"].get("seed"),
        base_model=record["base_model"],
        training_dataset=record["training_dataset"],
        evaluation_dataset=record.get("evaluation_dataset"),
        versions={name: str(each) for name, each in (record.get("versions") or {}).items()},
        precision=record.get("precision"),
        code_version=code_version_of(row),
        manifest_sha256=row.manifest_sha256,
    )


def _config(row: ModelRow, record: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of the run that made the model."""
    names: dict[str, Any] = {
        "name": row.run_name,
        "family": row.family,
        "goal": row.goal,
        "base_model": record["base_model"]["name"],
        "training_dataset": record["training_dataset"]["name"],
        "evaluation_dataset": (record.get("evaluation_dataset") or {}).get("name"),
    }
    return {name: value for name, value in (names | record["config"]).items() if value is not None}
