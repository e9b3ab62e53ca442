"""Every query of the registry."""

from slm_registry.store.aliases import (
    alias_moves_of, aliases_of_family, aliases_of_model, count_use, drop_alias, find_alias, note_alias_move,
    point_alias, usage_of,
)  # fmt: skip
from slm_registry.store.journal import (
    add_drawing, add_fact, all_facts, claim_emission, evaluations_of, facts_of_model, find_datasets, is_known,
    mark_emitted, project_dataset, project_evaluation, projection_version, regressions_of, set_projection_version,
    truncate_projections, unemitted_facts,
)  # fmt: skip
from slm_registry.store.lineage import (
    MAX_NODES, edges_among, evaluation_nodes_of, find_node, neighbours, nodes_of, reachable,
)  # fmt: skip
from slm_registry.store.models import (
    SORTS, add_model, children_of, edit_model, find_model, find_model_of_experiment, latest_version_of, list_models,
    lock_family, mark_deleted, model_exists, models_of, next_version, raise_version, set_signature, shares_its_files,
)  # fmt: skip
