"""Any order of what users, workers and the reaper do to runs keeps to the table of legal edges."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, ClassVar, TypeVar
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule, run_state_machine_as_test
from hypothesis.strategies import sampled_from
from sqlalchemy import text

from slm_shared.jobs.lifecycle import LeaseLostError
from slm_shared.jobs.protocol import Failure, FailureReport, Fenced, Forget, Heartbeat
from slm_shared.references import DatasetRef, ModelRef
from slm_shared.settings import PlatformSettings
from slm_shared.storage.database import Database
from slm_shared.storage.ids import new_id
from slm_shared.storage.objects import ObjectStore
from slm_testing.databases import MakeDatabase
from slm_training.domain import EDGES, TERMINAL, WORKING, RunState
from slm_training.errors import NotPossibleNowError, RunFinishedError
from slm_training.schemas.config import RunCreate
from slm_training.schemas.leases import Checkpoint, Claim, Completion, RunLease
from slm_training.service import control, launching
from slm_training.service.leasing import LeasedJobs
from slm_training.service.resolving import Inputs
from slm_training.settings import TrainingSettings

T = TypeVar("T")
FACTS: dict[str, Any] = {
    "manifest_key": "manifest.json",
    "manifest_sha256": "0" * 64,
    "size_bytes": 1,
    "parameter_count": 1,
    "steps": 1,
    "train_loss": 1.0,
    "eval_loss": None,
    "duration_s": 1.0,
    "versions": {},
}
FAILURES = (
    Failure(code="training_error", message="It broke.", blame="system", retry=True),
    Failure(code="out_of_memory", message="Too big.", blame="system", retry=True),
    Failure(code="diverged", message="It diverged.", blame="user", retry=False),
)
ENDS = {
    RunState.SUCCEEDED: "experiment.completed",
    RunState.FAILED: "experiment.failed",
    RunState.DEAD_LETTER: "experiment.failed",
    RunState.CANCELLED: "experiment.cancelled",
}
Held = tuple[UUID, int]


class Runs(RuleBasedStateMachine):
    """Users launch, pause and cancel, workers claim and report under any lease they ever held, time passes."""

    url: ClassVar[str]
    runs = Bundle("runs")
    leases = Bundle("leases")

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.new_event_loop()
        self._database = Database(self.url)
        self._leased = LeasedJobs(TrainingSettings(), self._database, ObjectStore(PlatformSettings()))
        self._states: dict[UUID, RunState] = {}
        self._epochs: dict[UUID, int] = {}
        self._wait(self._execute("TRUNCATE run, attempt, checkpoint, transition, outbox"))

    def teardown(self) -> None:
        """Close what this example opened."""
        self._wait(self._database.close())
        self._loop.close()

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(work)

    async def _execute(self, statement: str) -> None:
        async with self._database.transaction() as session:
            await session.execute(text(statement))

    def _under(self, lease: Held, use_case: Any, *arguments: Any, **named: Any) -> Any:
        """Do something under a lease: refused without any effect when it is not the newest or has been given up."""

        async def work() -> Any:
            async with self._database.transaction() as session:
                return await use_case(session, lease[0], *arguments, **named)

        is_held = self._epochs[lease[0]] == lease[1] and self._states[lease[0]] in WORKING
        try:
            done = self._wait(work())
        except LeaseLostError:
            return None
        assert is_held or self._states[lease[0]] is RunState.SUCCEEDED, "a stale lease was heard"
        return done

    @rule(target=runs)
    def launch(self) -> UUID:
        """A user launches a run."""
        dataset: dict[str, Any] = {"id": str(new_id()), "name": "rows-v1", "sha256": "0" * 64, "row_format": "text"}
        dataset |= {"object_key": "datasets/rows", "mapping": {}, "rows": 1}
        model = {"id": str(new_id()), "name": "nano-v1", "artifact_prefix": "m", "manifest_key": "m"}
        model["manifest_sha256"] = "0" * 64
        inputs = Inputs(ModelRef.model_validate(model), DatasetRef.model_validate(dataset), None)
        request = RunCreate.model_validate({"name": "Run", "training_dataset": "rows-v1"})

        async def work() -> UUID:
            async with self._database.transaction() as session:
                return (await launching.launch_run(session, request, inputs, owner="somebody")).id

        run_id = self._wait(work())
        self._states[run_id], self._epochs[run_id] = RunState.QUEUED, 0
        return run_id

    @rule(run=runs)
    def cancel(self, run: UUID) -> None:
        """A user cancels a run, whatever it does."""

        async def work() -> None:
            async with self._database.transaction() as session:
                await control.cancel_run(session, run, actor="somebody")

        try:
            self._wait(work())
        except RunFinishedError:
            assert self._states[run] in TERMINAL | {RunState.COMPLETING}

    @rule(run=runs, steer=sampled_from([control.pause_run, control.resume_run]))
    def pause_or_resume(self, run: UUID, steer: Any) -> None:
        """A user pauses a run or has it go on, whatever it does."""

        async def work() -> None:
            async with self._database.transaction() as session:
                await steer(session, run, actor="somebody")

        with suppress(NotPossibleNowError):
            self._wait(work())

    @rule(target=leases, worker=sampled_from(["a", "b"]))
    def claim(self, worker: str) -> Any:
        """A worker asks for work."""

        async def work() -> RunLease | None:
            async with self._database.transaction() as session:
                wanted = Claim(worker=worker, claim_id=new_id())
                return await self._leased.claim(session, wanted)

        lease = self._wait(work())
        if lease is None:
            return multiple()
        run_id = lease.run_id
        assert self._states[run_id] is RunState.QUEUED
        assert lease.epoch == self._epochs[run_id] + 1
        self._epochs[run_id] += 1
        return run_id, lease.epoch

    @rule(lease=leases)
    def start(self, lease: Held) -> None:
        """A worker says that it trains."""
        self._under(lease, self._leased.start, Fenced(epoch=lease[1]))

    @rule(lease=leases)
    def renew(self, lease: Held) -> None:
        """A worker says that it lives."""
        self._under(lease, self._leased.heartbeat, Heartbeat(epoch=lease[1]))

    @rule(lease=leases, step=sampled_from([10, 20]))
    def store_checkpoint(self, lease: Held, step: int) -> None:
        """A worker registers a checkpoint."""
        checkpoint = Checkpoint(epoch=lease[1], step=step, manifest_sha256="0" * 64, size_bytes=1)
        self._under(lease, self._leased.add_checkpoint, checkpoint)

    @rule(lease=leases, failure=sampled_from(FAILURES))
    def fail(self, lease: Held, failure: Failure) -> None:
        """A worker reports a failure."""
        self._under(lease, self._leased.fail, FailureReport(epoch=lease[1], **failure.model_dump()))

    @rule(lease=leases)
    def release(self, lease: Held) -> None:
        """A worker gives its run back."""
        self._under(lease, self._leased.release, Fenced(epoch=lease[1]))

    @rule(lease=leases)
    def complete(self, lease: Held) -> None:
        """A worker says that the artifact is stored, and it reads back."""
        completion = Completion(epoch=lease[1], **FACTS)
        if self._under(lease, self._leased.begin_completion, completion) is not None:
            self._check_edges()
            self._under(lease, self._leased.end_completion, completion)

    @rule(lease=leases)
    def begin_to_complete(self, lease: Held) -> None:
        """The service dies while it reads the artifact back."""
        self._under(lease, self._leased.begin_completion, Completion(epoch=lease[1], **FACTS))

    @rule()
    def let_leases_run_out(self) -> None:
        """Nobody is heard of for long, and the reaper passes."""
        self._wait(self._execute("UPDATE run SET lease_expires_at = '2000-01-01' WHERE lease_expires_at IS NOT NULL"))

        async def work() -> None:
            async with self._database.transaction() as session:
                await self._leased.reap(session)

        self._wait(work())

    @rule()
    def let_pauses_end(self) -> None:
        """The pauses before further attempts are over."""
        self._wait(self._execute("UPDATE run SET retry_at = NULL"))

    @rule(worker=sampled_from(["a", "b"]))
    def restart_worker(self, worker: str) -> None:
        """A worker begins anew."""

        async def work() -> None:
            async with self._database.transaction() as session:
                await self._leased.forget(session, Forget(worker=worker))

        self._wait(work())

    @invariant()
    def all_is_well(self) -> None:
        """What must hold after every step."""
        self._check_edges()
        self._check_leases()
        self._check_ends()
        self._check_attempts()

    def _check_edges(self) -> None:
        """States change along the table only, and what ended stays ended."""
        for run_id, state, *_ in self._wait(self._rows("SELECT id, state FROM run")):
            before, after = self._states[run_id], RunState(state)
            assert after is before or after in EDGES[before], f"{before} became {after}"
            self._states[run_id] = after

    def _check_leases(self) -> None:
        """A working run has a lease that will run out, a run at rest has none."""
        query = "SELECT state, lease_expires_at IS NOT NULL, epoch, id FROM run"
        for state, is_leased, epoch, run_id in self._wait(self._rows(query)):
            assert is_leased == (RunState(state) in WORKING)
            assert epoch == self._epochs[run_id]

    def _check_ends(self) -> None:
        """Exactly the runs that ended have told of it, each once and truly."""
        told = sorted(
            (UUID(run_id), subject)
            for run_id, subject in self._wait(self._rows("SELECT payload->>'run_id', subject FROM outbox"))
            if subject in ENDS.values()
        )
        assert told == sorted((run_id, ENDS[state]) for run_id, state in self._states.items() if state in TERMINAL)

    def _check_attempts(self) -> None:
        """The timeline has each lease once; only the newest attempt of a working run is open."""
        query = "SELECT run_id, epoch, ended_at IS NULL FROM attempt"
        attempts = self._wait(self._rows(query))
        expected = {(run_id, epoch) for run_id, last in self._epochs.items() for epoch in range(1, last + 1)}
        assert {(run_id, epoch) for run_id, epoch, _ in attempts} == expected
        is_open = {(run_id, epoch) for run_id, epoch, unfinished in attempts if unfinished}
        assert is_open == {(each, self._epochs[each]) for each, state in self._states.items() if state in WORKING}

    async def _rows(self, query: str) -> list[Any]:
        async with self._database.read() as session:
            return list((await session.execute(text(query))).all())


# A failure is made small before it is told, which takes Hypothesis up to five minutes.
@pytest.mark.timeout(420)
async def test_runs_keep_to_the_table(platform_settings: PlatformSettings, service_database: MakeDatabase) -> None:
    name = await service_database("training")
    machine = type("RunsHere", (Runs,), {"url": platform_settings.database_url(name)})
    checks = [HealthCheck.too_slow, HealthCheck.filter_too_much]
    how = settings(max_examples=30, stateful_step_count=25, suppress_health_check=checks)
    # Its own thread: the machine runs an event loop for each example.
    await asyncio.to_thread(run_state_machine_as_test, machine, settings=how)
