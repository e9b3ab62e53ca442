"""How quick is one entity through the gateway?

Asks for one model again and again: through the gateway, at its service directly, and (the yardstick of this machine) a
server that answers the same bytes from memory. All in one run, so that the ratios mean something.

    python benchmarks/control_plane.py                        # starts the whole stack on free ports
    python benchmarks/control_plane.py --gateway URL          # a stack that runs already, without the bare service
    python benchmarks/control_plane.py --mlflow-python PYTHON # MLflow's get-run beside it, from a venv that has it

Held: p50 <= 3 ms at concurrency 1 and >= 1,000 requests/s at 16 through the gateway, on 2 cores.
"""

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import aiohttp
import uvicorn
import uvloop
from rich.console import Console
from rich.table import Table
from starlette.types import ASGIApp, Receive, Scope, Send

from slm_local.record import read_record
from slm_shared.identity.principal import HEADER, Principal, Role, Signer

MODEL = "/api/models/nano-v1"
CONCURRENCIES = (1, 16)
WARM_UP_S = 1.0
START_TIMEOUT_S = 60.0
MLFLOW_ARGUMENTS = ("-m", "mlflow", "server", "--host", "127.0.0.1", "--workers", "1")


@dataclass(frozen=True)
class Target:
    """One thing to ask again and again; `headers` are made anew for each measurement, because tokens expire."""

    name: str
    url: str
    signer: Signer | None = None

    def headers(self) -> dict[str, str]:
        """What the request must carry."""
        if self.signer is None:
            return {}
        return {HEADER: self.signer.token("registry", Principal("benchmark", Role.VIEWER))}


@dataclass(frozen=True)
class Measurement:
    """Latencies in milliseconds, as the client sees them."""

    target: str
    concurrency: int
    requests_per_s: float
    p50_ms: float
    p99_ms: float


def main() -> None:
    """Read the command line and measure, inside a stack started for it if none is named."""
    arguments = _arguments()
    if arguments.serve_body is not None:
        _serve(arguments.serve_body, arguments.port)
    elif arguments.gateway or arguments.data_dir:
        uvloop.run(_measure_all(arguments))
    else:
        sys.exit(_inside_a_stack())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gateway", default=None, help="address of a running stack's gateway")
    parser.add_argument("--data-dir", type=Path, help="data folder of a running stack, to ask its service directly")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long each measurement takes")
    parser.add_argument("--mlflow-python", type=Path, help="a Python that has MLflow")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--serve-body", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def _inside_a_stack() -> int:
    """Start the embedded stack and run this program again inside it."""
    with tempfile.TemporaryDirectory(prefix="slm-benchmark-") as folder:
        stack = [sys.executable, "-m", "slm_local", "--data-dir", folder, "--free-ports", "run", "--"]
        again = [sys.executable, __file__, "--data-dir", folder, *sys.argv[1:]]
        return subprocess.run([*stack, *again], check=False).returncode


async def _measure_all(arguments: argparse.Namespace) -> None:
    gateway = (arguments.gateway or os.environ["SLM_GATEWAY_URL"]).rstrip("/")
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        body = await _body(session, gateway + MODEL)
        targets = [Target("this machine, from memory", stack.enter_context(_baseline(body)))]
        if arguments.data_dir:
            targets.append(_service(arguments.data_dir))
        targets.append(Target("through the gateway", gateway + MODEL))
        if arguments.mlflow_python:
            url = await stack.enter_async_context(_mlflow(arguments.mlflow_python, session))
            targets.append(Target("MLflow get-run", url))
        results = [
            await _measure(session, target, concurrency=concurrency, seconds=arguments.seconds)
            for concurrency in CONCURRENCIES
            for target in targets
        ]
    _report(results, as_json=arguments.json)


async def _body(session: aiohttp.ClientSession, url: str) -> bytes:
    async with session.get(url) as response:
        body = await response.read()
        if response.status != 200:
            raise SystemExit(f"{url} answered {response.status}: {body.decode(errors='replace')}")
        return body


def _service(data_dir: Path) -> Target:
    """The registry itself, asked with a principal as the gateway would."""
    record = read_record(data_dir)
    address = next((part.url for part in record.parts if part.name == "registry"), None) if record else None
    if address is None:
        raise SystemExit(f"no stack runs on {data_dir}")
    return Target("the service itself", address + MODEL, Signer(data_dir / "keys" / "gateway.json"))


async def _measure(session: aiohttp.ClientSession, target: Target, *, concurrency: int, seconds: float) -> Measurement:
    await _ask(session, target, concurrency=concurrency, seconds=WARM_UP_S)
    began = time.perf_counter()
    latencies = sorted(await _ask(session, target, concurrency=concurrency, seconds=seconds))
    elapsed_s = time.perf_counter() - began
    return Measurement(
        target=target.name,
        concurrency=concurrency,
        requests_per_s=round(len(latencies) / elapsed_s, 1),
        p50_ms=round(latencies[len(latencies) // 2] * 1000, 3),
        p99_ms=round(latencies[len(latencies) * 99 // 100] * 1000, 3),
    )


async def _ask(session: aiohttp.ClientSession, target: Target, *, concurrency: int, seconds: float) -> list[float]:
    headers = target.headers()
    latencies: list[float] = []
    end = time.perf_counter() + seconds

    async def ask() -> None:
        while (began := time.perf_counter()) < end:
            async with session.get(target.url, headers=headers) as response:
                await response.read()
                if response.status != 200:
                    raise SystemExit(f"{target.name} answered {response.status}")
            latencies.append(time.perf_counter() - began)

    await asyncio.gather(*(ask() for _ in range(concurrency)))
    return latencies


@contextmanager
def _baseline(body: bytes) -> Iterator[str]:
    """Another process that answers `body`; gives its address."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(body)
        file.flush()
        port = _free_port()
        with _process([sys.executable, __file__, "--serve-body", file.name, "--port", str(port)]):
            _wait_for_port(port)
            yield f"http://127.0.0.1:{port}/"


def _serve(path: Path, port: int) -> None:
    uvicorn.run(_answering(path.read_bytes()), host="127.0.0.1", port=port, access_log=False, log_level="warning")


def _answering(body: bytes) -> ASGIApp:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": body})

    return app


@asynccontextmanager
async def _mlflow(python: Path, session: aiohttp.ClientSession) -> AsyncIterator[str]:
    """An MLflow server with one run in it; gives the address that answers that run."""
    with tempfile.TemporaryDirectory() as folder:
        port = _free_port()
        store = ["--port", str(port), "--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
        with _process([str(python), *MLFLOW_ARGUMENTS, *store]):
            await asyncio.to_thread(_wait_for_port, port)
            api = f"http://127.0.0.1:{port}/api/2.0/mlflow/runs"
            async with session.post(f"{api}/create", json={"experiment_id": "0", "run_name": "benchmark"}) as response:
                made = await response.json()
            yield f"{api}/get?run_id={made['run']['info']['run_id']}"


@contextmanager
def _process(command: Sequence[str]) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=10)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _wait_for_port(port: int) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise SystemExit(f"nothing answers on port {port}") from None
            time.sleep(0.1)


def _report(results: list[Measurement], *, as_json: bool) -> None:
    console = Console()
    if as_json:
        console.print_json(json.dumps([asdict(result) for result in results]))
        return
    table = Table("what", "at once", "p50 ms", "p99 ms", "requests/s", "of the machine", box=None)
    yardsticks = {
        each.concurrency: each.requests_per_s for each in reversed(results) if each.target == results[0].target
    }
    for each in results:
        table.add_row(*map(str, _row(each, yardsticks[each.concurrency])))
    console.print(table)


def _row(each: Measurement, yardstick: float) -> tuple[Any, ...]:
    share = f"{each.requests_per_s / yardstick:.0%}"
    return (
        each.target,
        each.concurrency,
        f"{each.p50_ms:.2f}",
        f"{each.p99_ms:.2f}",
        f"{each.requests_per_s:,.0f}",
        share,
    )


if __name__ == "__main__":
    main()
