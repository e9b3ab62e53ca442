"""The synchronous client is what its source makes of it."""

import subprocess
import sys
from pathlib import Path

from scripts.generate_sync_client import SOURCE, synchronous

SCRIPT = Path(__file__).parents[2] / "scripts" / "generate_sync_client.py"


def test_the_synchronous_client_is_generated_from_the_asynchronous_one() -> None:
    check = subprocess.run([sys.executable, SCRIPT, "--check"], capture_output=True, text=True, check=False)
    assert (check.returncode, check.stderr) == (0, ""), "run scripts/generate_sync_client.py"


def test_what_is_awaited_is_called() -> None:
    source = (
        "async def first(look: Callable[[], Awaitable[list[T]]]) -> T:  # as AsyncSlmClient does\n"
        '    """Call `aclose`."""\n'
        "    async with AsyncSlmClient() as client, lock:\n"
        "        return (await look())[0]\n"
    )
    assert synchronous(source) == (
        "def first(look: Callable[[], list[T]]) -> T:  # as SlmClient does\n"
        '    """Call `close`."""\n'
        "    with SlmClient() as client, lock:\n"
        "        return (look())[0]\n"
    )


def test_the_source_leaves_to_another_module_what_is_more_than_a_name() -> None:
    modules = {"asyncio", "anyio", "threading", "time.sleep"}
    found = [path.name for path in SOURCE.glob("*.py") if any(f"import {each}" in path.read_text() for each in modules)]
    assert found == []
