"""Every query of the registry."""

from slm_registry.store.aliases import (
    alias_moves_of,
    aliases_of_family,
    aliases_of_model,
    count_use,
    drop_alias,
    find_alias,
    note_alias_move,
    point_alias,
    usage_of,
)
from slm_registry.store.journal import (
    add_drawing,
    add_fact,
    all_facts,
    claim_emission,
    evaluations_of,
    facts_of_model,
    find_datasets,
    is_known,
    mark_emitted,
    project_dataset,
    project_evaluation,
    projection_version,
    regressions_of,
    set_projection_version,
    truncate_projections,
    unemitted_facts,
)
from slm_registry.store.lineage import (
    MAX_NODES,
    edges_among,
    evaluation_nodes_of,
    find_node,
    neighbours,
    nodes_of,
    reachable,
)
from slm_registry.store.models import (
    SORTS,
    add_model,
    children_of,
    edit_model,
    find_model,
    find_model_of_experiment,
    latest_version_of,
    list_models,
    lock_family,
    mark_deleted,
    model_exists,
    models_of,
    next_version,
    raise_version,
    set_signature,
    shares_its_files,
)

__all__ = [
    "MAX_NODES", "SORTS", "add_drawing", "add_fact", "add_model", "alias_moves_of", "aliases_of_family",
    "aliases_of_model", "all_facts", "children_of", "claim_emission", "count_use", "drop_alias", "edges_among",
    "edit_model", "evaluation_nodes_of", "evaluations_of", "facts_of_model", "find_alias", "find_datasets",
    "find_model", "find_model_of_experiment", "find_node", "is_known", "latest_version_of", "list_models",
    "lock_family", "mark_deleted", "mark_emitted", "model_exists", "models_of", "neighbours", "next_version",
    "nodes_of", "note_alias_move", "point_alias", "project_dataset", "project_evaluation", "projection_version",
    "raise_version", "reachable", "regressions_of", "set_projection_version", "set_signature", "shares_its_files",
    "truncate_projections", "unemitted_facts", "usage_of",
]  # fmt: skip
