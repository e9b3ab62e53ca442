"""Ports of the embedded servers."""

import subprocess
import sys

from slm_local.ports import free_port

CHOOSE = """
import sys
from slm_local.ports import free_port
print(*(free_port() for _ in range(300)), flush=True)
sys.stdin.read()
"""


def test_processes_that_choose_at_the_same_time_choose_different_ports() -> None:
    children = [
        subprocess.Popen([sys.executable, "-c", CHOOSE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    chosen = [free_port() for _ in range(300)]
    for child in children:
        assert child.stdout is not None
        chosen += map(int, child.stdout.readline().split())
    for child in children:
        child.communicate("")
    assert len(chosen) == len(set(chosen)) == 1200
