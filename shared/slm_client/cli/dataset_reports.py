"""`slm datasets problems`, `retry`, `report`, `tokens`, `split`, `compare` and `card`."""

from typing import Annotated, Any

import typer

from slm_client.cli import following
from slm_client.cli.datasets import Mapping, OnBadRows, Reference, app, mapping_of
from slm_client.cli.failures import FailedJobError
from slm_client.cli.options import Gateway
from slm_client.cli.progress import Stages
from slm_client.cli.terminal import print_facts, print_sentence, print_table, print_text
from slm_client.models import Dataset, DatasetComparison, DatasetProblems, DatasetReport, TokenReport
from slm_client.synchronous import SlmClient

__all__ = ["app"]


def _print_problems(found: DatasetProblems) -> None:
    print_table(
        found.items,
        [
            ("LINE", lambda each: each.line),
            ("COLUMN", lambda each: each.column),
            ("CODE", lambda each: each.code),
            ("WHAT", lambda each: each.message),
            ("SAMPLE", lambda each: each.sample),
        ],
    )
    counts = ", ".join(f"{count} {code}" for code, count in found.counts.items())
    print_facts(
        [("Problems", f"{found.total} ({counts})" if found.total else "none"), ("Left out", found.skipped_rows)]
    )


def _print_report(found: DatasetReport) -> None:
    print_table(
        found.profile,
        [
            ("COLUMN", lambda each: each.get("name")),
            ("TYPE", lambda each: each.get("type")),
            ("EMPTY", lambda each: each.get("nulls", 0) + each.get("empty", 0)),
            ("DISTINCT", lambda each: each.get("distinct")),
            ("MIN", lambda each: each.get("min_length", each.get("min"))),
            ("MEAN", lambda each: each.get("mean_length", each.get("mean"))),
            ("MAX", lambda each: each.get("max_length", each.get("max"))),
        ],
    )
    quality = found.quality or {}
    languages = ", ".join(f"{each['language']} {each['rows']}" for each in quality.get("languages", [])[:5])
    personal = ", ".join(f"{kind} {each['rows']}" for kind, each in quality.get("personal_data", {}).items())
    print_facts(
        [
            ("Rows", found.rows),
            ("Exact duplicates", quality.get("duplicates", {}).get("rows")),
            ("Near duplicates", quality.get("near_duplicates", {}).get("rows")),
            ("Empty rows", quality.get("empty_rows")),
            ("Languages", languages or None),
            ("Personal data", personal or None),
            ("Looked for it", _scan(quality.get("personal_data_scan"))),
        ]
    )


def _scan(scan: dict[str, Any] | None) -> str | None:
    """Which detector looked for personal data, and in how many rows."""
    return f"{scan['detector']} {scan['version']}, in {scan['rows']} rows" if scan else None


def _print_tokens(found: TokenReport) -> None:
    counts = found.report
    if counts is None:
        raise FailedJobError(f"The report failed: {following.describe(found.error)}")
    reasons = ", ".join(f"{count} {reason}" for reason, count in counts.dropped_because.items())
    print_facts(
        [
            ("Base model", f"{found.model_name}, rows cut to {found.max_length} tokens"),
            ("Rows", f"{counts.rows} of {counts.total_rows}"),
            ("Kept", counts.kept_rows),
            ("Cut", counts.truncated_rows),
            ("Dropped", f"{counts.dropped_rows} ({reasons})" if reasons else counts.dropped_rows),
            ("Not of their format", counts.invalid_rows or None),
            ("Tokens", f"{counts.total_tokens:,}, {counts.trained_tokens:,} of them learned"),
            (
                "Length",
                f"half up to {counts.p50_length}, 95 % up to {counts.p95_length}, at most {counts.max_row_length}",
            ),
            ("Learns to stop", "yes" if counts.stop_token_trained else "no"),
        ]
    )
    for row in counts.samples:
        for spans in row.sequences:
            marked = "".join(f"[{span.text}]" if span.trained else span.text for span in spans)
            print_text(
                f"\nRow {row.row}, {row.outcome}, {row.tokens} tokens; the trained text is in brackets:\n{marked}"
            )


def _print_comparison(found: DatasetComparison) -> None:
    if found.report is None:
        raise FailedJobError(f"The comparison failed: {following.describe(found.error)}")
    told = found.report
    print_facts(
        [
            ("Compared with", found.other_name),
            ("Rows", f"{told['rows']['left']} and {told['rows']['right']}"),
            ("Added", told["added_rows"]),
            ("Removed", told["removed_rows"]),
            ("In both", told["common_rows"]),
            ("Same text in both", told["exact"]["rows"]),
            ("Nearly the same text", f"{told['near']['rows']} of {told['near']['sampled_rows']} looked at"),
            ("New columns", ", ".join(told["schema"]["added"]) or None),
            ("Columns gone", ", ".join(told["schema"]["removed"]) or None),
        ]
    )


def _print_parts(parts: dict[str, Dataset]) -> None:
    told = ", ".join(f"{each.name}: {each.rows} rows" for each in parts.values())
    print_sentence(f"{told}.")


@app.answering(_print_problems)
def problems(client: SlmClient, dataset: Reference) -> DatasetProblems:
    """List the problems of a file, each with its place."""
    return client.datasets.problems(dataset)


@app.answering(lambda dataset: print_sentence(f"{dataset.name}: {dataset.rows} rows, {dataset.skipped_rows} left out."))
def retry(
    client: SlmClient,
    dataset: Reference,
    mapping: Mapping = None,
    on_bad_rows: Annotated[
        OnBadRows | None, typer.Option(help="Reject a file with bad rows, or skip the rows.")
    ] = None,
) -> Dataset:
    """Process a failed dataset again, without uploading it again."""
    reading: dict[str, Any] = {"mapping": mapping_of(mapping), "on_bad_rows": on_bad_rows and str(on_bad_rows)}
    with Stages() as stages:
        begun = client.datasets.retry(dataset, **{name: value for name, value in reading.items() if value})
        return following.follow_processing(client, stages, begun)


@app.answering(_print_report)
def report(client: SlmClient, dataset: Reference) -> DatasetReport:
    """Show a profile of each column and the quality of the rows."""
    return client.datasets.wait_for_report(dataset)


@app.answering(_print_tokens)
def tokens(
    client: SlmClient,
    dataset: Reference,
    model: Annotated[str, typer.Option(help="Base model that reads the rows.")] = "nano-v1",
    max_length: Annotated[int, typer.Option(min=8, help="Longest row in tokens; longer rows are cut.")] = 512,
) -> TokenReport:
    """Show what training sees: rows kept, cut and dropped, token counts, and some rows with the trained text marked."""
    return client.datasets.token_report(dataset, model=model, max_length=max_length)


@app.answering(_print_parts)
def split(
    client: SlmClient,
    dataset: Reference,
    validation: Annotated[float, typer.Option(min=0.0, max=1.0, help="Fraction of the rows for validation.")] = 0.1,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random split.")] = 42,
) -> dict[str, Dataset]:
    """Split a dataset into a training and a validation dataset; equal rows stay together."""
    with Stages() as stages:
        parts = client.datasets.split(dataset, validation_fraction=validation, seed=seed)
        train = following.follow_processing(client, stages, parts.train, title="Train part")
        held_out = following.follow_processing(client, stages, parts.validation, title="Validation part")
    return {"train": train, "validation": held_out}


@app.answering(_print_comparison)
def compare(
    client: SlmClient,
    dataset: Reference,
    other: Annotated[str, typer.Argument(help="Dataset to compare with.")],
) -> DatasetComparison:
    """Compare two datasets: what changed, and which rows are in both."""
    return client.datasets.compare(dataset, other=other)


@app.command()
def card(dataset: Reference, gateway: Gateway = None) -> None:
    """Print the card of a dataset as markdown."""
    with SlmClient(gateway) as client:
        print_text(client.datasets.card(dataset))
