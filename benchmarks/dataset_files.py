"""What the datasets service costs beside the bare work under it: `python benchmarks/dataset_files.py`.

`processing`: a million rows of JSONL checked, written as Parquet, profiled and hashed, beside Polars parsing and
writing the same file. `upload`: 256 MB through the gateway beside the MinIO client putting them into the same server.
`list`: the 95th percentile of list requests over 1,000 and over 100,000 datasets. The last two need a local stack.
"""

import argparse
import asyncio
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import httpx2
from minio import Minio
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from slm_client import SlmClient
from slm_local.record import read_record
from slm_shared.settings import PlatformSettings

ROWS = 1_000_000
MIB = 1024 * 1024
OBJECT_BYTES = 256 * 1000 * 1000
LIST_REQUESTS = 200
BARE = """
import polars as pl, sys
pl.scan_ndjson(sys.argv[1]).sink_parquet(sys.argv[2], compression="zstd")
"""
OURS = """
import sys
from pathlib import Path
from slm_datasets.child.canonical import make_canonical
from slm_datasets.formats.reading import Reading
from slm_datasets.child.sandbox import confine
confine(cpu_s=600, memory_bytes=2 * 1024**3)
make_canonical(Path(sys.argv[1]), Path(sys.argv[2]), Reading(format="jsonl"))
"""


def main() -> None:
    """Measure what was asked for and print a table of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", default=["processing", "upload", "list"])
    parser.add_argument("--data-dir", type=Path, default=Path(".slm"), help="of the local stack that is measured")
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="slm-bench-") as folder:
        if "processing" in options.what:
            measure_processing(Path(folder), rows=options.rows, rounds=options.rounds)
        if "upload" in options.what:
            measure_transfer(Path(folder), options.data_dir, rounds=options.rounds)
    if "list" in options.what:
        asyncio.run(measure_lists(options.data_dir))


def measure_processing(folder: Path, *, rows: int, rounds: int) -> None:
    """Seconds and peak memory of both, each in a fresh process, start of Python included; the best of some rounds."""
    source = folder / "rows.jsonl"
    write_rows(source, rows)
    size = source.stat().st_size
    bare = [timed(BARE, source, folder / "bare.parquet") for _ in range(rounds)]
    ours = [timed(OURS, source, folder / "ours.parquet") for _ in range(rounds)]
    table(
        f"Processing {rows:,} rows of JSONL, {size / MIB:.0f} MiB",
        [
            ("Polars: parse and write", f"{min(bare)[0]:.2f} s", f"{max(b[1] for b in bare)} MiB", "1.00"),
            (
                "check, write, profile, hash",
                f"{min(ours)[0]:.2f} s",
                f"{max(o[1] for o in ours)} MiB",
                f"{min(ours)[0] / min(bare)[0]:.2f}",
            ),
        ],
        ("", "time", "peak memory", "ratio"),
    )


def write_rows(path: Path, rows: int) -> None:
    """Rows of about 300 bytes: a number, a prompt, a completion, a score."""
    draw = random.Random(1)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(draw.choices(letters, k=draw.randint(2, 9))) for _ in range(5000)]
    with path.open("w", encoding="utf-8") as file:
        for number in range(rows):
            prompt, completion = (" ".join(draw.choices(words, k=count)) for count in (18, 20))
            row = {"id": number, "prompt": prompt, "completion": completion, "score": round(draw.random(), 4)}
            file.write(json.dumps(row) + "\n")


def timed(program: str, source: Path, target: Path) -> tuple[float, int]:
    """Seconds, and the peak of resident memory in MiB, of a program in a process of its own."""
    wrapped = f"{program}\nimport resource\nprint(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)"
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", wrapped, str(source), str(target)], check=True, capture_output=True, text=True
    )
    return time.perf_counter() - begun, int(done.stdout.split()[-1])


def measure_transfer(folder: Path, data_dir: Path, *, rounds: int) -> None:
    """MB/s up and down, by the gateway and straight; the best of some rounds each, in turns."""
    source, target = folder / "object.jsonl", folder / "back"
    line = json.dumps({"text": "x" * 980}) + "\n"
    source.write_text(line * (OBJECT_BYTES // len(line)))
    size = source.stat().st_size
    settings = settings_of(data_dir)
    store = Minio(
        settings.s3_endpoint.partition("//")[2],
        access_key=settings.s3_access_key.get_secret_value(),
        secret_key=settings.s3_secret_key.get_secret_value(),
        secure=False,
    )
    key = "bench/object"
    rates: dict[str, list[float]] = {"put": [], "upload": [], "get": [], "download": []}
    with SlmClient(settings.gateway_url) as client:
        for number in range(rounds):
            with source.open("ab") as file:
                # Identical content would be refused.
                file.write(json.dumps({"text": f"{number} {time.time()}"}).encode() + b"\n")
            rates["put"].append(rate(size, lambda: store.fput_object(settings.s3_bucket, key, str(source))))
            rates["upload"].append(rate(size, lambda: client.datasets.upload(source, name="bench-transfer")))
            made = client.datasets.get("bench-transfer")
            rates["get"].append(rate(size, lambda: store.fget_object(settings.s3_bucket, key, str(target))))
            rates["download"].append(rate(size, lambda: client.datasets.download("bench-transfer", target)))
            client.datasets.wait(made.id)
            client.datasets.delete(made.id)
    store.remove_object(settings.s3_bucket, key)
    rows = [
        ("MinIO client, put", f"{max(rates['put']):.0f} MB/s", "1.00"),
        (
            "upload by the gateway",
            f"{max(rates['upload']):.0f} MB/s",
            f"{max(rates['upload']) / max(rates['put']):.2f}",
        ),
        ("MinIO client, get", f"{max(rates['get']):.0f} MB/s", "1.00"),
        (
            "download by the gateway",
            f"{max(rates['download']):.0f} MB/s",
            f"{max(rates['download']) / max(rates['get']):.2f}",
        ),
    ]
    table(f"{size / 1e6:.0f} MB in one object", rows, ("", "rate", "ratio"))


def settings_of(data_dir: Path) -> PlatformSettings:
    """Addresses and secrets of a running local stack (`python -m slm_local up`)."""
    record = read_record(data_dir)
    if record is None:
        raise SystemExit(f"No stack runs in {data_dir}: start one with python -m slm_local up")
    urls = {part.name: part.url or "" for part in record.parts}
    return PlatformSettings(
        gateway_url=record.gateway_url,
        s3_endpoint=urls["s3"],
        s3_secret_key=SecretStr((data_dir / "s3" / "secret_key").read_text().strip()),
        postgres_url=urls["postgres"].replace("://", "://slm@"),
        postgres_password=SecretStr((data_dir / "postgres" / "password").read_text().strip()),
    )


def rate(size: int, work: Callable[[], object]) -> float:
    """MB/s."""
    begun = time.perf_counter()
    work()
    return size / 1e6 / (time.perf_counter() - begun)


async def measure_lists(data_dir: Path) -> None:
    """The list by the gateway with 1,000 and then with 100,000 datasets in the database."""
    queries = (
        "",
        "?sort=name",
        "?sort=-rows",
        "?usage=evaluation",
        "?q=bench-0050",
        "?q=bench-0000",
        "?q=bench",
        "?status=processed&sort=-created_at",
    )
    settings = settings_of(data_dir)
    engine = create_async_engine(settings.database_url("slm_datasets"))
    found: dict[int, dict[str, float]] = {}
    async with AsyncExitStack() as stack:
        stack.push_async_callback(engine.dispose)
        client = await stack.enter_async_context(httpx2.AsyncClient(base_url=settings.gateway_url, timeout=30))
        try:
            for count in (1_000, 100_000):
                async with engine.begin() as connection:
                    await connection.execute(text(FILL), {"first": 0 if count == 1_000 else 1_000, "last": count - 1})
                async with engine.connect() as connection:
                    await connection.execution_options(isolation_level="AUTOCOMMIT")
                    await connection.execute(text("ANALYZE dataset"))
                found[count] = {query: await percentile_95(client, query) for query in queries}
        finally:
            async with engine.begin() as connection:
                await connection.execute(text("DELETE FROM dataset WHERE family LIKE 'bench-0%'"))
    rows = [
        (query or "newest first", f"{small * 1000:.1f} ms", f"{found[100_000][query] * 1000:.1f} ms",
         f"{found[100_000][query] / small:.2f}")
        for query, small in found[1_000].items()
    ]  # fmt: skip
    table("95th percentile of a list of 50", rows, ("", "1,000 datasets", "100,000 datasets", "ratio"))


FILL = """
INSERT INTO dataset (id, name, family, version, owner, usage, status, format, file_name, size_bytes, sha256, mapping,
    columns, rows, data_type, row_format, name_grams, created_at)
SELECT gen_random_uuid(), name, family, 1, 'bench', CASE WHEN n % 2 = 0 THEN 'training' ELSE 'evaluation' END,
    'processed', 'jsonl', family || '.jsonl', n * 100, md5(family), '{}', '[]', n % 5000, 'text', 'text',
    (SELECT array_agg(DISTINCT substr(name, place, 3)) FROM generate_series(1, length(name) - 2) AS place),
    clock_timestamp() - n * interval '1 minute'
FROM (SELECT n, 'bench-' || lpad(n::text, 7, '0') AS family, 'bench-' || lpad(n::text, 7, '0') || '-v1' AS name
      FROM generate_series(CAST(:first AS int), CAST(:last AS int)) AS n) AS made
"""


async def percentile_95(client: httpx2.AsyncClient, query: str) -> float:
    """Seconds of the 95th of a hundred requests, one after the other."""
    times = []
    for _ in range(LIST_REQUESTS):
        begun = time.perf_counter()
        answer = await client.get(f"/api/datasets{query}")
        times.append(time.perf_counter() - begun)
        answer.raise_for_status()
    return statistics.quantiles(times, n=20)[-1]


def table(title: str, rows: Sequence[tuple[str, ...]], head: tuple[str, ...]) -> None:
    """Print a table in markdown."""
    lines = [f"\n{title}\n", "| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    print("\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)]), flush=True)  # noqa: T201  its output


if __name__ == "__main__":
    main()
