"""How long from a launch to a training that trains, and to the end of a hundred steps?

Starts the whole embedded stack, waits for its warm trainer, and launches short runs one after the other: from the
moment before the request to the claim, to the worker's word that it begins, and to the end of the first optimiser step,
by the clocks of one machine. Then a run of about a hundred steps through the platform, with settings given by hand,
beside a bare TRL script with the same settings as a process of its own.

    python benchmarks/launch.py [--runs 20] [--rounds 3]

Held: launch to begin <= 50 ms and to the first step <= 0.5 s at the median; the long run <= 0.8 times the script.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars
from rich.console import Console
from rich.table import Table
from training import (  # type: ignore[import-not-found]  # beside this file
    BATCH,
    BY_HAND,
    LEARNING_RATE,
    MAX_LENGTH,
    SEED,
    sample_rows,
)

from slm_client import SlmClient
from slm_client.calls.datasets import UploadOptions
from slm_client.models.experiments import MetricPoint

LONG_ROWS = 100 * BATCH
SHORT_ROWS = 2 * BATCH
IDLE_S, POLL_S = 60.0, 0.05
# A child that can take a job rehearses one first, for a second; an idle worker's has done so long ago.
REHEARSED_S = 4.0


def main() -> None:
    """Start a stack and measure inside it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not arguments.inside:
        with tempfile.TemporaryDirectory(prefix="slm-benchmark-") as folder:
            stack = [sys.executable, "-m", "slm_local", "--data-dir", folder, "--free-ports", "run", "--"]
            command = [*stack, sys.executable, __file__, "--inside", *sys.argv[1:]]
            sys.exit(subprocess.run(command, check=False).returncode)
    with SlmClient() as client, tempfile.TemporaryDirectory() as folder:
        rows = sample_rows()
        _upload(client, Path(folder) / "short.jsonl", rows[:SHORT_ROWS])
        _upload(client, Path(folder) / "long.jsonl", rows[:LONG_ROWS])
        launches = [_launched(client, number) for number in range(arguments.runs + 1)][1:]
        walls = [(_through_platform(client, number), _script(Path(folder), rows)) for number in range(arguments.rounds)]
    _print(launches, walls)


def _upload(client: SlmClient, path: Path, rows: list[dict[str, str]]) -> None:
    polars.DataFrame(rows).write_ndjson(path)
    client.datasets.wait(client.datasets.upload(path, UploadOptions(name=path.stem)).id)


def _config(name: str, dataset: str, **options: Any) -> dict[str, Any]:
    fixed = {"learning_rate": LEARNING_RATE, "batch_size": BATCH, "max_length": MAX_LENGTH, "seed": SEED, "epochs": 1}
    return {"name": name, "training_dataset": dataset, **fixed, **options}


def _when_idle(client: SlmClient) -> None:
    """Return once the trainer asks for work again, which it does with a warm child, and that has rehearsed."""
    now, deadline = datetime.now(UTC), time.monotonic() + IDLE_S
    while time.monotonic() < deadline:
        for worker in client.workers().items:
            if worker.state == "idle" and worker.last_seen_at is not None and worker.last_seen_at > now:
                time.sleep(REHEARSED_S)
                return
        time.sleep(POLL_S)
    raise SystemExit("No trainer became idle.")


def _launched(client: SlmClient, number: int) -> dict[str, float]:
    """Milliseconds from before the request to each stage of one run."""
    _when_idle(client)
    begun = datetime.now(UTC)
    run = client.runs.launch(_config(f"Short {number}", "short-v1"))
    answered = datetime.now(UTC)
    done = client.experiments.wait(run.experiment_id)
    attempt = done.attempts[0]
    first = _first_loss(client, run.experiment_id)
    moments = {"answer": answered, "claim": attempt.claimed_at, "begin": attempt.started_at, "first step": first.time}
    return {name: (moment - begun).total_seconds() * 1000 for name, moment in moments.items() if moment is not None}


def _first_loss(client: SlmClient, experiment_id: str) -> MetricPoint:
    """The first point of the training loss, which may be told a moment after the end of a run this short."""
    for _ in range(100):
        if points := client.experiments.metrics(experiment_id, name="loss").series.get("loss"):
            return points[0]
        time.sleep(POLL_S)
    raise SystemExit("No training loss was told.")


def _through_platform(client: SlmClient, number: int) -> float:
    """Seconds of a long run, from before the request until its status says that it is complete."""
    _when_idle(client)
    begun = time.monotonic()
    options = {"packing": False, "precision": "fp32", "gradient_checkpointing": False}
    run = client.runs.launch(_config(f"Long {number}", "long-v1", **options))
    done = client.experiments.wait(run.experiment_id)
    assert done.status == "completed", done.error
    return time.monotonic() - begun


def _script(folder: Path, rows: list[dict[str, str]]) -> float:
    """Seconds of a process that does the same with TRL alone."""
    data = folder / "rows.json"
    data.write_text(json.dumps(rows[:LONG_ROWS]))
    script = Path(__file__).with_name("training.py")
    begun = time.monotonic()
    command = [sys.executable, "-W", "ignore", str(script), "--be", BY_HAND, "--data", str(data), "--no-evaluation"]
    subprocess.run(command, check=True, capture_output=True)
    return time.monotonic() - begun


def _print(launches: list[dict[str, float]], walls: list[tuple[float, float]]) -> None:
    table = Table("from launch to", "p50", "p95", title=f"{len(launches)} launches on an idle worker, milliseconds")
    for stage in launches[0]:
        found = sorted(each[stage] for each in launches)
        table.add_row(stage, f"{statistics.median(found):,.0f}", f"{found[int(0.95 * (len(found) - 1))]:,.0f}")
    Console().print(table)
    table = Table("100 steps", "platform (s)", "script (s)", "ratio")
    for number, (ours, theirs) in enumerate(walls, start=1):
        table.add_row(f"round {number}", f"{ours:.1f}", f"{theirs:.1f}", f"{ours / theirs:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
