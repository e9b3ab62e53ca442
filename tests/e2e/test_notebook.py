"""The tutorial notebook runs from its first cell to its last on a real stack, and draws its curves."""

import os
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from slm_client import SlmClient
from slm_client.cli.demo_data import SAMPLES

NOTEBOOK = Path(__file__).parents[2] / "docs" / "notebooks" / "first_model.ipynb"
ROWS = 80
pytestmark = pytest.mark.timeout(400)


def read() -> Any:
    return nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_the_notebook_is_kept_without_outputs() -> None:
    assert [cell for cell in code_cells(read()) if cell.outputs or cell.execution_count] == []


async def test_the_notebook_trains_a_model_and_draws_its_curves(stack: str, client: SlmClient, tmp_path: Path) -> None:
    notebook = with_little_data(read(), tmp_path)
    runner = NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path}})
    # Streamlit names another backend for this whole process, once its tests have run in it.
    own = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    await runner.async_execute(env={**own, "SLM_GATEWAY_URL": stack, "IPYTHONDIR": str(tmp_path / "ipython")})
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    assert len([output for output in outputs if "image/png" in output.get("data", {})]) == 2
    model = client.models.get("first-model")
    cards = [output.data["text/markdown"] for output in outputs if "text/markdown" in output.get("data", {})]
    assert [model.name in card for card in cards] == [True]


def with_little_data(notebook: Any, folder: Path) -> Any:
    """The same notebook with short files in the place of its own."""
    (cell,) = (cell for cell in code_cells(notebook) if "parameters" in cell.metadata.get("tags", ()))
    for name, usage in (("TRAINING_FILE", "train"), ("EVALUATION_FILE", "eval")):
        lines = (SAMPLES / f"commands_{usage}.jsonl").read_text().splitlines(keepends=True)
        short = folder / f"{usage}.jsonl"
        short.write_text("".join(lines[:ROWS]))
        cell.source += f"\n{name} = Path({str(short)!r})"
    return notebook
