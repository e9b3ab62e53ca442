"""The whole platform as separate processes that a test may kill, stop, cut off and start again, one by one."""

import asyncio
import contextlib
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import psutil
from pydantic import SecretStr

from slm_local.addresses import Addresses, choose_addresses
from slm_local.components import Component, base_environment, keys_folder, python, services
from slm_local.ports import claim
from slm_local.process import Process
from slm_local.servers.nats import start_nats
from slm_local.servers.postgres import start_postgres
from slm_local.servers.s3 import claim_s3, start_s3
from slm_shared.identity.keys import generate_keys
from slm_shared.settings import PlatformSettings
from tests.support.proxy import Proxy

SERVERS = ("nats", "postgres", "s3")
# Short leases, so that a test sees them run out.
QUICK_LEASES = {
    "SLM_TRAINING_LEASE_TTL_S": "5",
    "SLM_TRAINING_HEARTBEAT_S": "1",
    "SLM_TRAINING_REAPER_INTERVAL_S": "0.5",
}


class Cluster:
    """Servers behind proxies, and the services and the gateway in front of them; no real workers.

    `env` adds variables for single parts.
    """

    def __init__(self, data_dir: Path, *, env: dict[str, dict[str, str]] | None = None) -> None:
        self.data_dir = data_dir
        self._env = env or {}
        self._logs = data_dir / "logs"
        self._addresses: Addresses = choose_addresses(data_dir, gateway_port=None, free=True)
        self._real = {name: claim_s3(None) if name == "s3" else claim(name, None) for name in SERVERS}
        self._gateway_port = claim("gateway", None)
        self._parts: dict[str, Component] = {}
        self._processes: dict[str, Process] = {}
        self.proxies = {name: Proxy(self._addresses.ports[name], port) for name, port in self._real.items()}
        self.proxies["gateway"] = Proxy(self._gateway_port, self._addresses.ports["gateway"])
        self.failpoint: str | None = None

    @property
    def gateway_url(self) -> str:
        """Where clients ask, through a proxy."""
        return f"http://127.0.0.1:{self._gateway_port}"

    @property
    def settings(self) -> PlatformSettings:
        """For whoever asks the servers or a service directly: past the proxies, as a worker."""
        variables = self._addresses.variables
        return PlatformSettings(
            nats_url=f"nats://127.0.0.1:{self._real['nats']}",
            postgres_url=f"postgresql://slm@127.0.0.1:{self._real['postgres']}",
            postgres_password=SecretStr(variables["SLM_POSTGRES_PASSWORD"]),
            s3_endpoint=f"http://127.0.0.1:{self._real['s3']}",
            s3_access_key=SecretStr(variables["SLM_S3_ACCESS_KEY"]),
            s3_secret_key=SecretStr(variables["SLM_S3_SECRET_KEY"]),
            training_url=self._addresses.url("training"),
            registry_url=self._addresses.url("registry"),
            datasets_url=self._addresses.url("datasets"),
            evaluation_url=self._addresses.url("evaluation"),
            principal_keys=keys_folder(self.data_dir) / "principals.json",
            signing_key=keys_folder(self.data_dir) / "worker.json",
        )

    @property
    def services(self) -> tuple[str, ...]:
        """The names of the services and the gateway."""
        return tuple(self._parts)

    async def start(self) -> None:
        """Start everything; returns when all are ready."""
        generate_keys(keys_folder(self.data_dir))
        (self.data_dir / "run").mkdir(parents=True, exist_ok=True)
        for proxy in self.proxies.values():
            await proxy.start()
        await asyncio.gather(*(self.start_part(name) for name in SERVERS))
        await self.migrate()
        self._parts = {part.name: part for part in services(self.data_dir, self._addresses)}
        await asyncio.gather(*(self.start_part(name) for name in self._parts))

    async def stop(self) -> None:
        """End everything."""
        for proxy in self.proxies.values():
            await proxy.close()
        for names in (tuple(self._parts), SERVERS):
            running = [self._processes[name] for name in names if name in self._processes]
            await asyncio.gather(*(process.stop(grace_s=2) for process in running))

    async def start_part(self, name: str) -> None:
        """Start one part that does not run, and wait until it is ready."""
        if name in SERVERS:
            self._processes[name] = await self._start_server(name)
            return
        part = self._parts[name]
        failpoint = {"SLM_FAILPOINT": self.failpoint} if self.failpoint else {}
        part = replace(part, env={**part.env, **QUICK_LEASES, **failpoint, **self._env.get(name, {})})
        log_path = self._logs / f"{name}.log"
        process = await Process.start(name, python(part.module), log_path=log_path, env=part.env)
        self._processes[name] = process
        if not failpoint:
            await process.wait_ready(part.ready)

    async def _start_server(self, name: str) -> Process:
        folder, port = self.data_dir / name, self._real[name]
        if name == "nats":
            return (await start_nats(folder, logs=self._logs, port=port)).process
        if name == "postgres":
            return (await start_postgres(folder, logs=self._logs, port=port)).process
        return (await start_s3(folder, logs=self._logs, port=port)).process

    async def migrate(self) -> None:
        """Run the migration step, as every start of the platform does."""
        env = base_environment(self.data_dir, self._addresses, signer="service")
        log_path = self._logs / "migrations.log"
        process = await Process.start("migrations", python("slm_shared.migrate"), log_path=log_path, env=env)
        code = await process.wait()
        assert code == 0, process.log_tail()

    def is_running(self, name: str) -> bool:
        """Whether a part's process lives."""
        return self._processes[name].exit_code is None

    async def heal(self) -> None:
        """Undo whatever a fault that failed has left behind."""
        self.failpoint = None
        for proxy in self.proxies.values():
            proxy.flow()
        for name in (*SERVERS, *self._parts):
            if self.is_running(name):
                self.signal(name, signal.SIGCONT)
            else:
                await self.start_part(name)

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a part and everything it started, whatever group that is in."""
        with contextlib.suppress(psutil.NoSuchProcess):  # it may have died by itself a moment ago
            parent = psutil.Process(self._processes[name].pid)
            # The parent first: it would replace children that it sees die.
            for process in (parent, *parent.children(recursive=True)):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.send_signal(number)

    async def kill(self, name: str) -> None:
        """`kill -9`."""
        self.signal(name, signal.SIGKILL)
        await self._processes[name].wait()

    async def terminate(self, name: str) -> None:
        """Ask a part to end; returns when it has ended by itself."""
        # PostgreSQL would wait for its clients to leave.
        request = signal.SIGINT if name == "postgres" else signal.SIGTERM
        os.killpg(self._processes[name].pid, request)
        await self._processes[name].wait()

    async def wait_dead(self, name: str) -> None:
        """Return when a part has ended."""
        await self._processes[name].wait()

    def log(self, name: str) -> str:
        """The end of a part's log."""
        return self._processes[name].log_tail()

    def delete_jetstream(self) -> None:
        """`rm -rf` everything that NATS keeps."""
        shutil.rmtree(self.data_dir / "nats" / "jetstream")
