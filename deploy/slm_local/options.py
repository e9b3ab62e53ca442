"""The command line."""

import argparse
from pathlib import Path

from slm_local.addresses import SERVICE_PORTS
from slm_local.components import WORKERS

DESCRIPTION = "The whole platform on this machine, on the loopback interface."
EPILOG = "Servers of your own: set SLM_NATS_URL, SLM_POSTGRES_URL or SLM_S3_ENDPOINT, and that one is not started."

LEFT_OUT = (*SERVICE_PORTS, "gateway", *WORKERS)


def parser() -> argparse.ArgumentParser:
    """`up` (also without a command), `down`, `run -- COMMAND`, `status`. Options stand before or after the command."""
    top = argparse.ArgumentParser(prog="python -m slm_local", description=DESCRIPTION, epilog=EPILOG)
    _add_folder(top, default=_folder(".slm"))
    _add_ports(top, default=None)
    commands = top.add_subparsers(dest="command")
    # SUPPRESS: what is not said after the command must not overwrite what was said before it.
    up = commands.add_parser("up", help="start everything and stay until Ctrl-C")
    run = commands.add_parser("run", help="start everything (unless it runs), run a command, stop it again")
    status = commands.add_parser("status", help="show the parts of a running stack")
    down = commands.add_parser("down", help="stop a running stack; its data stays")
    for each in (up, run, status, down):
        _add_folder(each, default=argparse.SUPPRESS)
    for each in (up, run):
        _add_ports(each, default=argparse.SUPPRESS)
    without = "do not start this part: run it yourself, in a debugger for example"
    up.add_argument("--without", action="append", default=[], choices=LEFT_OUT, metavar="PART", help=without)
    run.add_argument("words", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="gets SLM_GATEWAY_URL")
    return top


def _add_folder(to: argparse.ArgumentParser, *, default: Path | str) -> None:
    to.add_argument("--data-dir", type=_folder, default=default, help="folder of data, logs and keys (default: .slm)")


def _add_ports(to: argparse.ArgumentParser, *, default: str | None) -> None:
    to.add_argument("--port", type=_port, default=default, help="port of the gateway (default: 8000; 0: any free one)")
    to.add_argument(
        "--ui-port", type=_port, default=default, help="port of the console (default: 8501; 0: any free one)"
    )
    to.add_argument("--no-ui", action="store_true", default=default, help="do not start the console")
    to.add_argument("--free-ports", action="store_true", default=default, help="give every part any free port")


def _folder(text: str) -> Path:
    return Path(text).absolute()


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError("a port is a number from 0 to 65535")
    return port
