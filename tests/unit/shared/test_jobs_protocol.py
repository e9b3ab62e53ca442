"""What workers and services say to each other, on the wire."""

from typing import ClassVar
from uuid import UUID

import pytest
from pydantic import ValidationError

from slm_shared.jobs.client import JobFailedError, Lease
from slm_shared.jobs.protocol import Claim, FailureReport, Grant, Heartbeat, HeartbeatAnswer
from slm_shared.storage.ids import new_id


class PrintLease(Grant):
    id_field: ClassVar[str] = "print_id"

    print_id: UUID
    pages: int


def granted(**fields: object) -> dict[str, object]:
    return {"print_id": str(new_id()), "epoch": 2, "attempt": 1, "lease_ttl_s": 90.0, "heartbeat_s": 5.0, **fields}


def test_a_worker_ignores_what_a_newer_service_says_beside() -> None:
    answer = granted(pages=3, duplex=True)
    lease = Lease(answer, PrintLease)
    assert (lease.key, lease.epoch, lease.heartbeat_s) == (answer["print_id"], 2, 5.0)
    assert lease.grant.pages == 3
    assert HeartbeatAnswer.model_validate({"cancel": True, "reason": "new"}).cancel


def test_work_that_a_worker_does_not_understand_still_has_a_lease_to_report_under() -> None:
    lease = Lease(granted(), PrintLease)
    with pytest.raises(ValidationError):
        _ = lease.grant
    assert JobFailedError("worker_error", "No.", blame="system").report(lease.epoch).epoch == 2


def test_a_service_refuses_fields_it_does_not_know() -> None:
    with pytest.raises(ValidationError):
        Claim.model_validate({"worker": "w", "claim_id": new_id(), "color": "red"})
    with pytest.raises(ValidationError):
        Heartbeat.model_validate({"epoch": True})


def test_a_report_fits_whatever_a_library_wrote_into_its_error() -> None:
    error = JobFailedError("c" * 200, "bad\0news" * 1000, blame="infra", retry=True, log_tail="a\0b")
    report = error.report(1)
    assert (len(report.code), len(report.message), report.log_tail) == (80, 2000, "ab")
    assert FailureReport.model_validate_json(report.model_dump_json()) == report
