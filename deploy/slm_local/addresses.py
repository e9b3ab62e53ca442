"""The ports of all parts, and the servers that run elsewhere."""

import importlib.util
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from slm_local.files import read_or_make_secret
from slm_local.ports import LOOPBACK, claim
from slm_local.servers import Servers, environment
from slm_local.servers.postgres import USER
from slm_local.servers.s3 import ACCESS_KEY, claim_s3

GATEWAY_PORT = 8000
UI_PORT = 8501
SERVER_PORTS = {"nats": 14222, "postgres": 15432, "s3": 18333}
SERVICE_PORTS = {"datasets": 18001, "training": 18002, "registry": 18003, "evaluation": 18004}
# If the variable of a server is set, we use that server and start none.
SERVER_VARIABLES = {"nats": "SLM_NATS_URL", "postgres": "SLM_POSTGRES_URL", "s3": "SLM_S3_ENDPOINT"}


@dataclass(frozen=True, slots=True)
class Addresses:
    """`ports` of the parts that we start, `urls` of all; `variables` (with secrets) go to every process."""

    ports: Mapping[str, int]
    urls: Mapping[str, str]
    variables: Mapping[str, str] = field(repr=False)

    def url(self, part: str) -> str:
        """The base address of a part."""
        return self.urls[part]


def has_ui() -> bool:
    """Whether the console is installed (extra `ui`)."""
    return importlib.util.find_spec("streamlit") is not None


def choose_addresses(
    data_dir: Path, *, gateway_port: int | None, free: bool, ui_port: int | None = None, with_ui: bool = False
) -> Addresses:
    """Choose the usual port or any free one for each part, and check that it is free. Raises PortTakenError."""
    given = {name: os.environ[variable] for name, variable in SERVER_VARIABLES.items() if os.environ.get(variable)}
    usual = {**SERVER_PORTS, **SERVICE_PORTS, "gateway": GATEWAY_PORT} | ({"ui": UI_PORT} if with_ui else {})
    wanted: dict[str, int | None] = {name: None if free else port for name, port in usual.items() if name not in given}
    chosen = {"gateway": gateway_port, "ui": ui_port}
    wanted |= {name: port for name, port in chosen.items() if name in wanted and port is not None}
    ports: dict[str, int] = {}
    for name, port in wanted.items():
        ports[name] = claim_s3(port) if name == "s3" else claim(name, port)
    schemes = {"nats": "nats://", "postgres": f"postgresql://{USER}@"}
    urls = {name: f"{schemes.get(name, 'http://')}{LOOPBACK}:{port}" for name, port in ports.items()} | given
    return Addresses(ports, urls, _variables(data_dir, ports, urls))


def _variables(data_dir: Path, ports: Mapping[str, int], urls: Mapping[str, str]) -> dict[str, str]:
    ours = environment(
        Servers(
            nats_url=urls["nats"],
            postgres_url=urls["postgres"],
            postgres_password=_secret("postgres", data_dir / "postgres" / "password", ports),
            s3_endpoint=urls["s3"],
            s3_access_key=ACCESS_KEY,
            s3_secret_key=_secret("s3", data_dir / "s3" / "secret_key", ports),
        )
    )
    # The environment already has the variables of servers that run elsewhere.
    foreign = tuple(f"SLM_{name.upper()}_" for name in SERVER_PORTS if name not in ports)
    variables = {name: value for name, value in ours.items() if not name.startswith(foreign)} if foreign else ours
    for service in (*SERVICE_PORTS, "gateway"):
        variables[f"SLM_{service.upper()}_URL"] = urls[service]
        variables[f"SLM_{service.upper()}_PORT"] = str(ports[service])
        variables[f"SLM_{service.upper()}_HOST"] = LOOPBACK
    return variables


def _secret(server: str, path: Path, ports: Mapping[str, int]) -> str:
    return read_or_make_secret(path) if server in ports else ""
