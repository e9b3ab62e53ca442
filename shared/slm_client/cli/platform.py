"""`slm overview`, `workers`, `statistics` and `events`."""

from collections import deque
from typing import Annotated

import typer

from slm_client.cli import experiments
from slm_client.cli.commands import Commands
from slm_client.cli.options import Gateway, Json
from slm_client.cli.terminal import (
    Columns,
    moment,
    output,
    print_facts,
    print_json_line,
    print_table,
    print_text,
)
from slm_client.models import Count, LiveEvent, Overview, Statistics, Worker, Workers
from slm_client.synchronous import SlmClient

app = Commands()

WORTH_SHOWING = ("name", "run_name", "model_name", "dataset_name", "code", "worker")
WORKER_COLUMNS: Columns[Worker] = [
    ("NAME", lambda each: each.name),
    ("STATE", lambda each: each.state),
    ("RUN", lambda each: each.run_name),
    ("DEVICE", lambda each: each.capabilities.get("device_name") or each.capabilities.get("device")),
    ("CORES", lambda each: each.capabilities.get("cores")),
    ("MEMORY, GB", lambda each: each.capabilities.get("memory_gb")),
    ("SEEN", lambda each: moment(each.last_seen_at)),
]


def _print_overview(found: Overview) -> None:
    print_facts(
        [
            ("Datasets", _told(found.datasets)),
            ("Experiments", _told(found.experiments)),
            ("Models", _told(found.models)),
            ("Not answering", ", ".join(found.unavailable) or None),
        ]
    )
    if found.recent_experiments:
        output.print()
        print_table(found.recent_experiments, experiments.COLUMNS)


def _print_statistics(found: Statistics) -> None:
    print_facts(
        [
            ("Runs", ", ".join(f"{count} {status}" for status, count in found.by_status.items()) or "none"),
            ("Success rate", f"{found.success_rate:.0%}" if found.success_rate is not None else None),
            ("Median duration, s", found.median_duration_s),
            ("Median queue wait, s", found.median_queue_wait_s),
            ("Device hours", found.device_hours),
            ("Trained tokens", found.trained_tokens),
        ]
    )


@app.answering(_print_overview)
def overview(client: SlmClient) -> Overview:
    """Show how many datasets, experiments and models there are, and the latest experiments."""
    return client.overview()


@app.answering(lambda found: print_table(found.items, WORKER_COLUMNS))
def workers(client: SlmClient) -> Workers:
    """List the connected trainers and what each is doing."""
    return client.workers()


@app.answering(_print_statistics)
def statistics(
    client: SlmClient,
    since: Annotated[str | None, typer.Option(help="Only runs since then, e.g. 2026-11-01T00:00:00Z.")] = None,
) -> Statistics:
    """Show training statistics."""
    return client.statistics(since=since)


@app.command()
def events(
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Also show new events as they happen.")] = False,
    types: Annotated[str | None, typer.Option(help="Only these types, e.g. run.launched,model.registered.")] = None,
    after: Annotated[int | None, typer.Option(min=0, help="Start after this sequence number.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Without --follow: maximum number of events.")] = 50,
    gateway: Gateway = None,
    json: Json = False,
) -> None:
    """Show the latest events of the platform, and with --follow new ones as they happen."""
    wanted = tuple(name.strip() for name in (types or "").split(",") if name.strip())
    show = print_json_line if json else _print_event
    with SlmClient(gateway) as client:
        feed = client.events(types=wanted, after=after, follow=follow)
        for event in feed if follow else deque(feed, maxlen=limit):
            show(event)


def _print_event(event: LiveEvent) -> None:
    told = " ".join(f"{name}={event.data[name]}" for name in WORTH_SHOWING if event.data.get(name) is not None)
    print_text(f"{event.sequence:>6}  {moment(event.time) or '-':<19}  {event.type:<22} {told}".rstrip())


def _told(count: Count | None) -> str | None:
    if count is None:
        return None
    kinds = ", ".join(f"{number} {status}" for status, number in sorted(count.by_status.items()))
    total = f"{count.total}" if count.is_exact else f"more than {count.total}"
    return f"{total} ({kinds})" if kinds else total
