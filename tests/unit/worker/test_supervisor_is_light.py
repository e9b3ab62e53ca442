"""The supervisor stays small: what is slow and large belongs to the child."""

import subprocess
import sys

CHECK = """
import sys
import slm_training.worker.__main__
heavy = {"torch", "transformers", "trl", "peft", "polars", "slm_ml.model"} & set(sys.modules)
sys.exit(", ".join(sorted(heavy)) or None)
"""


def test_the_supervisor_imports_nothing_of_the_child() -> None:
    done = subprocess.run([sys.executable, "-c", CHECK], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
