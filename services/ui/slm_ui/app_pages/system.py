"""System: whether every service answers, what waits, and what was given up."""

from functools import partial
from typing import Any

import streamlit as st

from slm_client import SlmClient, SlmError
from slm_client.models import DeadLetter, ServiceHealth, Worker
from slm_client.models.operations import SERVICES
from slm_ui import api, formatting
from slm_ui.components import cells, panels, sections
from slm_ui.components.confirm import ask
from slm_ui.components.live import live
from slm_ui.components.states import saved
from slm_ui.components.view import draw

REFRESH_S = 5.0
MAX_LETTERS = 50
MAX_ENTRIES = 50


def main() -> None:
    """The page."""
    panels.head("System", text="Whether every service answers, what waits in it, and which messages it has given up.")
    sections.show(
        {
            "Services": live(_services, every=REFRESH_S),
            "Workers": live(_workers, every=REFRESH_S),
            "Dead letters": _letters,
            "Audit log": _audit,
        }
    )


def _services() -> None:
    asked = {name: api.soon(partial(_asked, name)) for name in SERVICES}
    overview = api.client().overview()
    experiments = overview.experiments.by_status if overview.experiments else None
    unknown, away = "unavailable", overview.unavailable
    panels.cards(
        [
            {"label": "Queued", "value": unknown if experiments is None else f"{experiments.get('queued', 0):,}"},
            {"label": "Running", "value": unknown if experiments is None else f"{experiments.get('running', 0):,}"},
            {"label": "Services unavailable", "value": str(len(away)), "sub": ", ".join(away)},
        ],
        key="system:cards",
    )
    events, letters = cells.column("Events to publish", align="right"), cells.column("Dead letters", align="right")
    head = ["Service", "State", events, "Oldest event", letters, "Problems"]
    rows = [_service("gateway", None, "")] + [_service(name, *answer.result()) for name, answer in asked.items()]
    draw(cells.table("Services", head, rows), key="system:services")


def _workers() -> None:
    """The trainers that are connected, and training in numbers."""
    client = api.client()
    asked = api.soon(lambda client: client.statistics())
    found = client.workers().items
    if found:
        head = ["Worker", "State", "Current run", "Capabilities", "Last seen"]
        draw(cells.table("Workers", head, [_worker(worker) for worker in found]), key="system:workers")
    else:
        text = "Start one with python -m slm_training.worker on any machine that reaches the platform."
        panels.empty("No trainer is connected", text, key="workers:none")
    numbers = asked.result()
    rate = None if numbers.success_rate is None else f"{numbers.success_rate:.0%}"
    st.subheader("Training in numbers", anchor=False)
    panels.facts(
        [
            ("Runs", formatting.count(numbers.runs)),
            ("Succeeded", rate),
            ("Attempts", formatting.count(numbers.attempts)),
            ("Mean duration", formatting.duration(numbers.mean_duration_s)),
            ("Median duration", formatting.duration(numbers.median_duration_s)),
            ("Mean wait in the queue", formatting.duration(numbers.mean_queue_wait_s)),
            ("Device hours", formatting.number(numbers.device_hours)),
            ("Trained tokens", formatting.count(numbers.trained_tokens)),
        ],
        key="system:numbers",
    )


def _worker(worker: Worker) -> dict[str, Any]:
    can = [f"{formatting.words(name)} {formatting.as_text(value)}" for name, value in worker.capabilities.items()
           if not isinstance(value, dict | list)]  # fmt: skip
    works_on = cells.link(worker.run_name or "a run", "run", id=worker.run_id) if worker.run_id else None
    return cells.row(
        worker.name,
        {"text": worker.name, "sub": None if worker.pool == "default" else f"pool {worker.pool}"},
        cells.badge(worker.state, tone="busy" if worker.state == "busy" else "good"),
        works_on,
        ", ".join(can) or None,
        cells.moment(worker.last_seen_at),
    )


def _asked(service: str, client: SlmClient) -> tuple[ServiceHealth | None, str]:
    try:
        return client.operations.health(service), ""
    except SlmError as error:
        return None, error.message


def _service(name: str, health: ServiceHealth | None, refusal: str) -> dict[str, Any]:
    if health is None:
        state = cells.status("unavailable") if refusal else cells.status("ready")
        return cells.row(name, name, state, None, None, None, refusal or None)
    problems = [f"{part}: {problem}" for part, problem in health.problems.items()]
    state = cells.badge("not ready", tone="bad") if problems else cells.status("ready")
    return cells.row(
        name,
        name,
        state,
        formatting.count(health.unpublished_events),
        cells.moment(health.oldest_unpublished_at),
        formatting.count(health.dead_letters),
        "; ".join(problems) or None,
    )


def _letters() -> None:
    st.caption("Messages that a service could not handle. Fix the cause, then handle them again.")
    found = False
    asked = {name: api.soon(partial(_of, name)) for name in SERVICES}
    for service, answer in asked.items():
        letters, refusal = answer.result()
        if refusal:
            st.warning(f"{service}: {formatting.plain(refusal)}", icon=":material/cloud_off:")
        for letter in letters:
            found = True
            _letter(service, letter)
    if not found:
        panels.empty("No dead letters", "Every message was handled.", key="letters:none")


def _of(service: str, client: SlmClient) -> tuple[list[DeadLetter], str]:
    try:
        return client.operations.dead_letters(service, limit=MAX_LETTERS), ""
    except SlmError as error:
        return [], error.message


def _letter(service: str, letter: DeadLetter) -> None:
    key = f"{service}:{letter.consumer}:{letter.event_id}"
    with st.container(border=True):
        panels.facts(
            [
                ("Service", service),
                ("Event", letter.subject),
                ("Consumer", cells.mono(letter.consumer)),
                ("Given up", cells.moment(letter.created_at)),
                ("Tried", f"{letter.deliveries} times"),
                ("Why", cells.long(letter.error)),
                ("Event id", cells.short(letter.event_id)),
            ],
            key=f"letter:{key}",
        )
        row = st.container(horizontal=True)
        if row.button("Handle again", icon=":material/replay:", key=f"redrive:{key}"):
            with saved("It failed again"):
                api.client().operations.redrive(service, letter)
            st.rerun()
        if row.button("Discard", icon=":material/delete:", key=f"discard:{key}"):
            do = partial(api.client().operations.discard, service, letter)
            text = "What it should have changed will not happen. This is written to the audit log."
            ask("Discard this message?", text, verb="Discard", do=do)


def _audit() -> None:
    service = st.segmented_control("Service", SERVICES, default=SERVICES[0], required=True, key="audit:service",
                                   label_visibility="collapsed")  # fmt: skip
    entries = api.client().operations.audit(service or SERVICES[0], limit=MAX_ENTRIES)
    head = ["When", "Who", "What", "On", "Details"]
    rows = [
        cells.row(
            str(entry.seq),
            cells.moment(entry.at),
            entry.actor,
            entry.action,
            cells.mono(entry.object_id),
            cells.long(", ".join(f"{name}: {formatting.as_text(value)}" for name, value in entry.details.items())),
        )
        for entry in entries
    ]
    if rows:
        draw(cells.table("Audit log", head, rows), key="audit:table")
    else:
        panels.empty("Nothing yet", "Every change to this service is written here.", key="audit:none")


main()
