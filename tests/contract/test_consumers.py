"""Each durable consumer that the migration makes has the one handler that it is made for."""

import pytest

import slm_datasets.subscribers
import slm_evaluation.subscribers
import slm_registry.subscribers
import slm_training.subscribers
from slm_shared.delivery.handlers import Handlers
from slm_shared.events.topology import CONSUMERS, EVENTS, TRAINER_WAKE_UP, durable_name

SERVICES = {
    "datasets": slm_datasets.subscribers.handlers,
    "evaluation": slm_evaluation.subscribers.handlers,
    "registry": slm_registry.subscribers.handlers,
    "training": slm_training.subscribers.handlers,
}


@pytest.mark.parametrize(("service", "handlers"), SERVICES.items(), ids=SERVICES)
def test_a_service_handles_what_it_has_a_consumer_for(service: str, handlers: Handlers) -> None:
    made = [each.durable for each in CONSUMERS if each.service == service and each.stream == EVENTS]
    assert sorted(durable_name(service, event) for event, _ in handlers) == sorted(made)


def test_no_consumer_is_left_over() -> None:
    services = {each.service for each in CONSUMERS if each.durable != TRAINER_WAKE_UP}
    assert services == set(SERVICES)
