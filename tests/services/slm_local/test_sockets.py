"""The sockets that SeaweedFS opens in /tmp, named by port only: those of other users, and its own."""

import os
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from slm_local.errors import PartError
from slm_local.servers.s3 import GRPC_OFFSET, LISTENERS, claim_s3, start_s3

NOBODY = 65534


def sockets(port: int) -> list[Path]:
    """What lies in /tmp for an S3 server on the port."""
    ports = range(port + GRPC_OFFSET, port + GRPC_OFFSET + len(LISTENERS))
    return [path for number in ports for path in Path("/tmp").glob(f"seaweedfs-*-grpc-{number}.sock")]


@pytest.fixture
def taken() -> Iterator[tuple[int, Path]]:
    """A port, and a file of this user that stands where SeaweedFS would listen for it."""
    # Servers that were killed have left theirs, which their own user may use again.
    port = next(port for port in iter(partial(claim_s3, None), None) if not sockets(port))
    path = Path(f"/tmp/seaweedfs-master-grpc-{port + GRPC_OFFSET + LISTENERS.index('master')}.sock")
    path.touch()
    yield port, path
    path.unlink()


def as_somebody_else(check: Callable[[], None]) -> bool:
    """Whether `check` passes in a process of another user."""
    if os.geteuid() != 0:
        pytest.skip("becoming somebody else needs root")
    child = os.fork()
    if child == 0:
        os.setuid(NOBODY)
        try:
            check()
        except BaseException:  # noqa: BLE001  the end of this process, whatever it was
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


def test_sockets_of_another_user_are_told_at_once(taken: tuple[int, Path]) -> None:
    port, path = taken

    def check() -> None:
        with pytest.raises(PartError, match=f"cannot use {path}: it is another user's"):
            claim_s3(port)

    assert as_somebody_else(check)
    assert claim_s3(port) == port


async def test_no_socket_stays_when_it_ends(tmp_path: Path) -> None:
    server = await start_s3(tmp_path / "s3", logs=tmp_path / "logs")
    port = int(server.endpoint.rpartition(":")[2])
    assert sockets(port)
    await server.process.stop(grace_s=0)
    assert not sockets(port)
