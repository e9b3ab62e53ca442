"""A child as its supervisor hears it: messages, errors, silence and death."""

import sys
from pathlib import Path

import pytest

from slm_shared.errors import UnavailableError
from slm_shared.jobs.child import Child, clean_environment
from slm_shared.jobs.client import JobFailedError
from slm_shared.jobs.protocol import Heartbeat
from slm_shared.jobs.supervisor import Transfers, Watch, hear, report_of
from slm_shared.settings import PlatformSettings
from slm_shared.storage.manifest import ArtifactMismatchError
from slm_shared.storage.objects import ObjectStore

WATCH = Watch("printing", stall_timeout_s=60)


async def heard(folder: Path, code: str, watch: Watch = WATCH) -> dict[str, object]:
    """The first message of a child that runs `code`."""
    script = f"import os, sys, time\nfrom slm_shared.jobs.child import Parent\nparent = Parent()\n{code}\n"
    child = await Child.start([sys.executable, "-c", script], env=clean_environment(), log_path=folder / "log")
    try:
        return await hear(child, watch)
    finally:
        await child.stop(grace_s=0)


async def failure(folder: Path, code: str, watch: Watch = WATCH) -> JobFailedError:
    with pytest.raises(JobFailedError) as caught:
        await heard(folder, code, watch)
    return caught.value


async def test_a_message_is_passed_on(tmp_path: Path) -> None:
    assert await heard(tmp_path, "parent.send('progress', rows=1)") == {"kind": "progress", "rows": 1}


async def test_an_error_of_the_user_comes_without_the_log(tmp_path: Path) -> None:
    say = "sys.stderr.write('trace'); sys.stderr.flush(); parent.send('error', code='bad', message='No.', blame={!r})"
    error = await failure(tmp_path, say.format("user"))
    assert (error.code, error.message, error.blame, error.retry, error.log_tail) == ("bad", "No.", "user", False, "")
    error = await failure(tmp_path, say.format("system"))
    assert (error.blame, error.retry) == ("system", True)
    assert "trace" in error.log_tail


async def test_a_child_that_says_nothing_is_stalled(tmp_path: Path) -> None:
    error = await failure(tmp_path, "parent.receive()", Watch("printing", stall_timeout_s=0.2))
    assert (error.code, error.blame, error.retry) == ("stalled", "infra", True)


@pytest.mark.parametrize(
    ("code", "how"), [("os._exit(3)", "exit code 3 and no result"), ("os.kill(os.getpid(), 9)", "signal 9")]
)
async def test_a_dead_child_is_told_by_how_it_died(tmp_path: Path, code: str, how: str) -> None:
    error = await failure(tmp_path, code)
    assert (error.code, error.retry) == ("child_died", True)
    assert error.message.startswith("The printing process ")
    assert how in error.message


def test_a_report_that_the_service_would_refuse_fails_the_job_for_good() -> None:
    assert report_of(Heartbeat, {"epoch": 1, "step": 2}).step == 2
    with pytest.raises(JobFailedError) as caught:
        report_of(Heartbeat, {"epoch": 1, "step": -1})
    assert (caught.value.code, caught.value.retry) == ("report_refused", False)


async def test_a_store_that_stays_away_is_infra_and_damaged_inputs_are_ours() -> None:
    transfers = Transfers(ObjectStore(PlatformSettings()), within_s=0)

    async def away() -> None:
        raise UnavailableError("The object store does not answer.")

    async def damaged() -> None:
        raise ArtifactMismatchError("The rows are others.")

    with pytest.raises(JobFailedError) as caught:
        await transfers.persist(away, what="upload")
    assert (caught.value.code, caught.value.retry) == ("storage_unavailable", True)
    with pytest.raises(JobFailedError) as caught:
        await transfers.fetch(damaged)
    assert (caught.value.code, caught.value.blame, caught.value.retry) == ("input_damaged", "system", False)
