"""What the registry tells of a model: itself, its card, its lineage."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from slm_registry.domain import Edge, Graph, Node
from slm_registry.errors import ModelDeletedError, ModelNotFoundError
from slm_registry.schemas import ArtifactFile, Card, DatasetFacts, Model, ModelEvaluation, Reference
from slm_registry.store import models, projections
from slm_registry.tables import DatasetRow, ModelRow
from slm_shared.manifest import Manifest


async def get_model(session: AsyncSession, reference: str, *, deleted: bool = False) -> ModelRow:
    """A model by id, name, family or `<family>@<alias>`; with `deleted` also one that was deleted.

    Raises ModelNotFoundError and ModelDeletedError.
    """
    model = await models.find_model(session, reference)
    if model is None:
        raise ModelNotFoundError("There is no such model.", hint="`slm models list` shows what there is.")
    if model.deleted_at is not None and not deleted:
        raise ModelDeletedError("The model was deleted.", hint="Its lineage and its timeline can still be read.")
    return model


async def make_card(session: AsyncSession, row: ModelRow, manifest: Manifest) -> Card:
    """The card of a model, from what is known now."""
    model = Model.of(row)
    references = [each for each in (model.training_dataset, model.evaluation_dataset) if each]
    datasets = await projections.find_datasets(session, [each.id for each in references])
    ids = [row.id] + ([model.base_model.id] if model.base_model else [])
    evaluations = [ModelEvaluation.of(each) for each in await projections.evaluations_of(session, ids)]
    mine = [each for each in evaluations if each.model_id == row.id]
    measured = {each.dataset_id for each in mine}
    return Card(
        model=model,
        training_dataset=_facts(model.training_dataset, datasets),
        evaluation_dataset=_facts(model.evaluation_dataset, datasets),
        evaluations=mine,
        base_evaluations=[each for each in evaluations if each.model_id != row.id and each.dataset_id in measured],
        files=[ArtifactFile(**file.model_dump()) for file in manifest.files],
    )


def _facts(reference: Reference | None, known: dict[UUID, DatasetRow]) -> DatasetFacts | None:
    if reference is None:
        return None
    row = known.get(reference.id)
    return DatasetFacts(id=reference.id, name=reference.name, sha256=reference.sha256, rows=row.rows if row else None)


async def lineage(session: AsyncSession, row: ModelRow) -> Graph:
    """Dataset to run to experiment to model to evaluation, and the base model."""
    model_id = str(row.id)
    nodes = {model_id: Node(model_id, "model", row.name)}
    edges: list[Edge] = []

    def add(node: Node, source: str, target: str, relation: str) -> None:
        nodes[node.id] = node
        edges.append(Edge(source, target, relation))

    if row.run_id and row.experiment_id and row.training_dataset and row.base_model:
        run_id, experiment_id = str(row.run_id), str(row.experiment_id)
        training, base = row.training_dataset, row.base_model
        add(Node(training["id"], "dataset", training["name"]), training["id"], run_id, "trains")
        add(Node(base["id"], "model", base["name"]), base["id"], run_id, "starts")
        add(Node(run_id, "run", row.run_name or ""), run_id, experiment_id, "runs as")
        add(Node(experiment_id, "experiment", row.run_name or ""), experiment_id, model_id, "makes")
    for evaluation in await projections.evaluations_of(session, [row.id]):
        key, dataset_id = str(evaluation.id), str(evaluation.dataset_id)
        add(Node(key, "evaluation", f"{row.name} on {evaluation.dataset_name}"), model_id, key, "is measured by")
        add(Node(dataset_id, "dataset", evaluation.dataset_name), dataset_id, key, "measures")
    return Graph(tuple(nodes.values()), tuple(edges))
