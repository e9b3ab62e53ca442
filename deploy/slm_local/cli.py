"""The commands `up`, `down`, `run` and `status`."""

import argparse
import asyncio
import contextlib
import os
import shutil
import signal
import sysconfig
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

from slm_local.addresses import Addresses, choose_addresses, has_ui
from slm_local.errors import PartError, StackError
from slm_local.lock import AlreadyRunningError, holder, is_locked, locked
from slm_local.options import parser
from slm_local.output import Clock, answer, part_line, say
from slm_local.probes import http_ok
from slm_local.record import read_record
from slm_local.stack import Stack, check_disk

EXIT_PROBLEM = 1
EXIT_NOT_RUNNING = 3
EXIT_INTERRUPTED = 130
COMMAND_STOP_GRACE_S = 5.0
DOWN_TIMEOUT_S = 30.0
DOWN_POLL_S = 0.1

T = TypeVar("T")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    options = parser().parse_args(arguments)
    commands: dict[str, Callable[[argparse.Namespace], Coroutine[None, None, int]]] = {
        "up": _up,
        "down": _down,
        "run": _run,
        "status": _status,
    }
    try:
        return asyncio.run(commands[options.command or "up"](options))
    except StackError as error:
        say(f"slm_local: {error}")
    except OSError as error:
        say(f"slm_local: {error.strerror}: {error.filename or options.data_dir}")
    return EXIT_PROBLEM


async def _up(options: argparse.Namespace) -> int:
    async def stay(_: str) -> int:
        say("Ctrl-C stops it.")
        forever: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        return await forever

    with locked(options.data_dir):
        return await _with_stack(options, stay, _addresses, told_code=0)


async def _run(options: argparse.Namespace) -> int:
    words = options.words[1:] if options.words[:1] == ["--"] else options.words
    if not words:
        raise StackError("run needs a command", hint="for example: python -m slm_local run -- slm demo")

    async def command(gateway_url: str) -> int:
        return await _run_command(words, gateway_url)

    try:
        with locked(options.data_dir):
            code = await _with_stack(options, command, _addresses_or_free_ones, told_code=EXIT_INTERRUPTED)
        if code == 0:
            say("`slm up` starts it again with everything that was made (in a checkout: `make up`).")
        return code
    except AlreadyRunningError:
        record = read_record(options.data_dir)
        if record is None or not record.ready:
            raise
        say(f"Using the stack that runs on {options.data_dir}.")
        return await command(record.gateway_url)


def _addresses(options: argparse.Namespace, *, free: bool = False) -> Addresses:
    """The usual ports, or those that the options name."""
    return choose_addresses(
        options.data_dir,
        gateway_port=options.port,
        free=free or bool(options.free_ports),
        ui_port=options.ui_port,
        with_ui=has_ui() and not options.no_ui,
    )


def _addresses_or_free_ones(options: argparse.Namespace) -> Addresses:
    """The usual ports, or free ones if one of them is taken: a single command gets the address and does not mind."""
    try:
        return _addresses(options)
    except PartError as taken:
        say(f"The usual port of {taken.part} is taken: every part gets a free one.")
        return _addresses(options, free=True)


async def _with_stack(
    options: argparse.Namespace,
    work: Callable[[str], Awaitable[int]],
    choose: Callable[[argparse.Namespace], Addresses],
    *,
    told_code: int,
) -> int:
    """Start the stack, do `work` with the gateway's address, stop the stack.

    Returns the code of `work`, or `told_code` if a signal comes first.
    """
    data_dir: Path = options.data_dir
    check_disk(data_dir)
    addresses = choose(options)
    gateway_url = addresses.url("gateway")
    say(f"Starting in {data_dir} (logs: {data_dir / 'logs'})")
    told = _told_to_stop()
    stack = Stack(data_dir, addresses, without=getattr(options, "without", ()))
    try:
        await _unless(told, stack, stack.start())
        say(f"Ready in {stack.ready_after_s:.1f} s: {_where_to_look(addresses)}")
        return await _unless(told, stack, work(gateway_url))
    except ToldToStop:
        return told_code
    finally:
        clock = Clock()
        await stack.stop()
        say(f"Stopped in {clock():.1f} s; the data stays in {data_dir}")


def _where_to_look(addresses: Addresses) -> str:
    docs = f"{addresses.url('gateway')}/api/docs"
    return f"console {addresses.url('ui')}, API {docs}" if "ui" in addresses.ports else docs


class ToldToStop(Exception):  # noqa: N818  not an error
    """SIGINT or SIGTERM arrived."""


def _told_to_stop() -> "asyncio.Future[None]":
    """Completed by SIGINT or SIGTERM. A second signal ends this process at once, and with it its children."""
    loop = asyncio.get_running_loop()
    told: asyncio.Future[None] = loop.create_future()

    def tell() -> None:
        if told.done():
            os._exit(EXIT_INTERRUPTED)
        told.set_result(None)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, tell)
    return told


async def _unless(told: "asyncio.Future[None]", stack: Stack, work: Awaitable[T]) -> T:
    """The result of `work`. Raises ToldToStop at a signal, and PartError when a part ends by itself."""
    task = asyncio.ensure_future(work)
    waited_for: set[asyncio.Future[Any]] = {task, told, stack.died}
    try:
        await asyncio.wait(waited_for, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        if told.done():
            raise ToldToStop
        raise stack.died.result().death()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _run_command(words: Sequence[str], gateway_url: str) -> int:
    """Run a command in the foreground, with the programs beside this Python on its PATH."""
    path = os.pathsep.join((sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)))
    env = {**os.environ, "SLM_GATEWAY_URL": gateway_url, "PATH": path}
    program = shutil.which(words[0], path=path)
    if program is None:
        raise StackError(f"there is no command {words[0]}", hint="check the spelling")
    process = await asyncio.create_subprocess_exec(program, *words[1:], env=env)
    try:
        return await process.wait()
    finally:
        if process.returncode is None:
            # At Ctrl-C the terminal has signalled it too; let it print its last lines.
            process.terminate()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(COMMAND_STOP_GRACE_S):
                    await process.wait()
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _down(options: argparse.Namespace) -> int:
    pid = holder(options.data_dir)
    if pid is None:
        answer(f"No stack runs on {options.data_dir}.")
        return EXIT_NOT_RUNNING
    os.kill(pid, signal.SIGTERM)
    clock = Clock()
    while is_locked(options.data_dir):
        if clock() > DOWN_TIMEOUT_S:
            raise StackError(f"the stack does not stop (process {pid})", hint=f"`kill -9 {pid}` ends all of it")
        await asyncio.sleep(DOWN_POLL_S)
    answer(f"Stopped in {clock():.1f} s; the data stays in {options.data_dir}.")
    return 0


async def _status(options: argparse.Namespace) -> int:
    record = read_record(options.data_dir) if is_locked(options.data_dir) else None
    if record is None:
        answer(f"No stack runs on {options.data_dir}.")
        return EXIT_NOT_RUNNING
    for part in record.parts:
        answer(part_line(part.name, "yours" if part.pid is None else f"pid {part.pid}", part.url or part.log or ""))
    ready = record.ready and await http_ok(f"{record.gateway_url}/readyz")
    answer(f"{'Ready' if ready else 'Not ready'}: {record.gateway_url}/api/docs")
    return 0 if ready else EXIT_PROBLEM
