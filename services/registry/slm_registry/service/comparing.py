"""Models side by side."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from slm_registry import store
from slm_registry.schemas import ComparedFact, Comparison, Model, ModelEvaluation
from slm_registry.service.reading import get_model

FACTS: dict[str, Callable[[Model], Any]] = {
    "kind": lambda model: model.kind,
    "base_model": lambda model: model.base_model and model.base_model.name,
    "method": lambda model: model.method,
    "training_dataset": lambda model: model.training_dataset and model.training_dataset.name,
    "training_dataset_sha256": lambda model: model.training_dataset and model.training_dataset.sha256,
    "evaluation_dataset": lambda model: model.evaluation_dataset and model.evaluation_dataset.name,
    "parameter_count": lambda model: model.parameter_count,
    "size_bytes": lambda model: model.size_bytes,
    "steps": lambda model: model.steps,
    "duration_s": lambda model: model.duration_s,
    "train_loss": lambda model: model.train_loss,
    "eval_loss": lambda model: model.eval_loss,
    "manifest_sha256": lambda model: model.manifest_sha256,
    "tags": lambda model: ", ".join(model.tags) or None,
    "aliases": lambda model: ", ".join(model.aliases) or None,
    "created_at": lambda model: model.created_at.isoformat(),
}


async def compare_models(session: AsyncSession, references: Sequence[str]) -> Comparison:
    """Facts, configuration and metrics of models, in the order asked for. Raises what `get_model` raises."""
    models = [Model.of(await get_model(session, each)) for each in references]
    rows = await store.evaluations_of(session, [model.id for model in models])
    scores = [_scores([ModelEvaluation.of(row) for row in rows if row.model_id == model.id]) for model in models]
    architectures = [{f"architecture.{name}": value for name, value in each.architecture.items()} for each in models]
    facts = [_fact(name, [of(model) for model in models]) for name, of in FACTS.items()]
    return Comparison(
        models=models,
        facts=facts + _side_by_side(architectures),
        configuration=_side_by_side([model.config for model in models]),
        metrics=_side_by_side(scores),
    )


def _scores(evaluations: Sequence[ModelEvaluation]) -> dict[str, Any]:
    """The metrics of each dataset; evaluations come oldest first, so the newest remains."""
    return {
        f"{each.dataset_name}: {name}": value for each in evaluations for name, value in sorted(each.metrics.items())
    }


def _side_by_side(columns: Sequence[dict[str, Any]]) -> list[ComparedFact]:
    names = dict.fromkeys(name for column in columns for name in column)
    return [_fact(name, [column.get(name) for column in columns]) for name in names]


def _fact(name: str, values: list[Any]) -> ComparedFact:
    return ComparedFact(name=name, values=values, same=all(value == values[0] for value in values))
