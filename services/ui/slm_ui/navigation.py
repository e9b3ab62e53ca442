"""Every page of the console, its address, and how one leads to another."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import streamlit as st

FOLDER = Path(__file__).parent / "app_pages"
GOTO = "goto"


@dataclass(frozen=True)
class Place:
    """One page: `name` is the last part of its address and the name of its script."""

    name: str
    title: str
    icon: str
    section: str = ""
    is_listed: bool = True


PLACES = (
    Place("home", "Home", ":material/home:"),
    Place("train", "Train model", ":material/rocket_launch:"),
    Place("datasets", "Datasets", ":material/table_rows:", "Work"),
    Place("runs", "Training runs", ":material/play_circle:", "Work"),
    Place("experiments", "Experiments", ":material/science:", "Work"),
    Place("models", "Models", ":material/deployed_code:", "Work"),
    Place("evaluations", "Evaluations", ":material/monitoring:", "Work"),
    Place("activity", "Activity", ":material/bolt:", "Platform"),
    Place("system", "System", ":material/dns:", "Platform"),
    Place("dataset", "Dataset", ":material/table_rows:", "Work", is_listed=False),
    Place("run", "Training run", ":material/play_circle:", "Work", is_listed=False),
    Place("experiment", "Experiment", ":material/science:", "Work", is_listed=False),
    Place("compare", "Compare experiments", ":material/compare_arrows:", "Work", is_listed=False),
    Place("model", "Model", ":material/deployed_code:", "Work", is_listed=False),
    Place("evaluation", "Evaluation", ":material/monitoring:", "Work", is_listed=False),
)
HOME = PLACES[0].name


def pages() -> dict[str, list[Any]]:
    """The pages by section, as Streamlit wants them."""
    sections: dict[str, list[Any]] = {}
    for place in PLACES:
        sections.setdefault(place.section, []).append(_page(place))
    return sections


def _page(place: Place) -> Any:
    return st.Page(
        FOLDER / f"{place.name}.py",
        title=place.title,
        icon=place.icon,
        url_path=place.name,
        default=place.name == HOME,
        visibility="visible" if place.is_listed else "hidden",
    )


def href(name: str, **parameters: object) -> str:
    """The address of a page, relative to any other page.

    >>> href("experiment", id="0190")
    'experiment?id=0190'
    """
    given = {key: str(value) for key, value in parameters.items() if value not in (None, "")}
    address = "./" if name == HOME else name
    return f"{address}?{urlencode(given)}" if given else address


def split(address: str) -> tuple[str, Mapping[str, str]]:
    """The page and the parameters of an address made by `href`."""
    parts = urlsplit(address)
    return parts.path.strip("./") or HOME, dict(parse_qsl(parts.query))


def go(address: str) -> None:
    """Show another page; the run of this one ends here."""
    name, parameters = split(address)
    place = next((place for place in PLACES if place.name == name), PLACES[0])
    st.switch_page(_page(place), query_params=dict(parameters))


def go_where_asked() -> None:
    """Follow a link that was clicked since the last run."""
    if address := st.session_state.pop(GOTO, None):
        go(address)
