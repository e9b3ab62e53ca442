"""The running stack: started in dependency order, watched, stopped in the opposite order."""

import asyncio
import os
import shlex
import shutil
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from slm_local.addresses import SERVER_PORTS, Addresses
from slm_local.components import Component, base_environment, console, keys_folder, python, services, workers
from slm_local.errors import PartError, StackError, first_error
from slm_local.files import write_private
from slm_local.output import Clock, part_line, say
from slm_local.process import Gate, Process
from slm_local.record import PartRecord, StackRecord, remove_record, write_record
from slm_local.servers import Server
from slm_local.servers.nats import start_nats
from slm_local.servers.postgres import start_postgres
from slm_local.servers.s3 import start_s3

# Three layers one after the other stay within ten seconds.
STOP_GRACE_S = 3.0
MIN_FREE_BYTES = 300 * 1024 * 1024
STEP_TIMEOUT_S = 120.0


class Starter(Protocol):
    """Starts one of the servers."""

    async def __call__(self, folder: Path, *, logs: Path, port: int | None) -> Server: ...


STARTERS: dict[str, Starter] = {"nats": start_nats, "postgres": start_postgres, "s3": start_s3}


def check_disk(data_dir: Path) -> None:
    """Raise StackError if the disk is nearly full: the servers would fail later, and less clearly."""
    free_bytes = shutil.disk_usage(data_dir).free
    if free_bytes < MIN_FREE_BYTES:
        problem = (
            f"the disk of {data_dir} is full: {free_bytes >> 20} MB are free, {MIN_FREE_BYTES >> 20} MB are needed"
        )
        raise StackError(problem, hint="free some space, or choose another --data-dir")


class Stack:
    """Every process of the platform on this machine."""

    def __init__(self, data_dir: Path, addresses: Addresses, *, without: Collection[str] = ()) -> None:
        self._data_dir = data_dir
        self._logs = data_dir / "logs"
        self._addresses = addresses
        self._without = without
        self._clock = Clock()
        self._records: list[PartRecord] = []
        # Stopped in the opposite order: workers first, servers last.
        self._servers: list[Process] = []
        self._services: list[Process] = []
        self._workers: list[Process] = []
        turns = data_dir / "run"
        self._gates = (Gate(turns / "migrations.lock"), Gate(turns / "services.lock"))
        self._stopping = False
        self.died: asyncio.Future[Process] = asyncio.get_running_loop().create_future()

    async def start(self) -> None:
        """Start everything; returns when every part is ready. Raises StackError."""
        migrations, service_gate = self._gates
        try:
            async with asyncio.TaskGroup() as group:
                servers = [group.create_task(self._start_server(name)) for name in SERVER_PORTS]
                await self._make_keys()
                # Workers wait for services by themselves. Services import now and wait at a gate until they may start.
                for part in workers(self._data_dir, self._addresses):
                    group.create_task(self._start_component(part, self._workers))
                migrated = group.create_task(self._step("migrations", "slm_shared.migrate", gate=migrations))
                for part in [*services(self._data_dir, self._addresses), *console(self._addresses)]:
                    layer = self._workers if part.name in ("gateway", "ui") else self._services
                    group.create_task(self._start_component(part, layer, gate=service_gate))
                await asyncio.gather(*servers)
                migrations.open()
                await migrated
                service_gate.open()
        except ExceptionGroup as failed:
            raise first_error(failed) from failed
        self._write_record(ready=True)

    @property
    def ready_after_s(self) -> float:
        """Seconds since the start began."""
        return self._clock()

    async def _start_server(self, name: str) -> None:
        port = self._addresses.ports.get(name)
        if port is None:
            self._note(name, None, state="yours")
            return
        start = STARTERS[name]
        server = await start(self._data_dir / name, logs=self._logs, port=port)
        self._watch(server.process, self._servers)
        self._note(name, server.process)

    async def _start_component(self, component: Component, layer: list[Process], *, gate: Gate | None = None) -> None:
        if component.name in self._without:
            self._leave_out(component)
            return
        log_path = self._logs / f"{component.name}.log"
        argv = python(component.module, gate=gate)
        process = await Process.start(component.name, argv, log_path=log_path, env=component.env, gate=gate)
        self._watch(process, layer)
        await process.wait_ready(component.ready)
        self._note(component.name, process)

    def _leave_out(self, component: Component) -> None:
        """Write the environment of a part to a file, for whoever starts it by hand."""
        path = self._data_dir / "run" / f"{component.name}.env"
        write_private(path, "".join(f"{name}={shlex.quote(value)}\n" for name, value in component.env.items()))
        self._note(component.name, None, state="yours")
        module = component.module.removesuffix(".__main__")
        say(f"    start it with: set -a; . {shlex.quote(str(path))}; {sys.executable} -m {module}")

    async def _make_keys(self) -> None:
        folder = keys_folder(self._data_dir)
        if not (folder / "principals.json").exists():
            await self._step("keys", "slm_shared.identity.keys", str(folder))

    async def _step(self, name: str, module: str, *arguments: str, gate: Gate | None = None) -> None:
        """Run a program to its end. Raises PartError if it fails."""
        process = await Process.start(
            name,
            python(module, *arguments, gate=gate),
            gate=gate,
            log_path=self._logs / f"{name}.log",
            env=base_environment(self._data_dir, self._addresses, signer="service"),
        )
        try:
            async with asyncio.timeout(STEP_TIMEOUT_S):
                code = await process.wait()
        except TimeoutError:
            raise PartError(name, f"took longer than {STEP_TIMEOUT_S:.0f} s", log_path=process.log_path) from None
        finally:
            await process.stop(grace_s=0)
        if code != 0:
            raise process.death()
        say(part_line(name, f"done in {self._clock():.1f} s"))

    def _watch(self, process: Process, layer: list[Process]) -> None:
        layer.append(process)
        process.on_end(self._on_end)

    def _on_end(self, process: Process) -> None:
        if not self._stopping and not self.died.done():
            self.died.set_result(process)

    def _note(self, name: str, process: Process | None, *, state: str | None = None) -> None:
        """Print that a part is ready, and note it in the record."""
        ready_after_s = round(self._clock(), 2)
        url = self._addresses.urls.get(name)
        shown = urlsplit(url)._replace(netloc=urlsplit(url).netloc.rpartition("@")[2]).geturl() if url else ""
        say(part_line(name, state or f"ready in {ready_after_s:.1f} s", shown))
        pid, log = (process.pid, str(process.log_path)) if process else (None, None)
        self._records.append(PartRecord(name, shown or None, pid, log, ready_after_s))
        self._write_record(ready=False)

    def _write_record(self, *, ready: bool) -> None:
        record = StackRecord(os.getpid(), ready, self._addresses.url("gateway"), self._records)
        write_record(self._data_dir, record)

    async def stop(self) -> None:
        """Stop everything: workers first, servers with data last."""
        self._stopping = True
        for layer in (self._workers, self._services, self._servers):
            await asyncio.gather(*(process.stop(grace_s=STOP_GRACE_S) for process in layer))
        # Nobody waits there any more; this closes the pipes.
        for gate in self._gates:
            gate.open()
        remove_record(self._data_dir)
