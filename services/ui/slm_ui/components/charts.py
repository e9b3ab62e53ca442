"""Charts: lines over training steps, drawn by Vega with a value under the pointer."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from slm_client.models import CurvePoint, MetricPoint

COLOURS = ("#4f46e5", "#ea7317", "#0f9d76", "#c0267e", "#0284c7", "#9a6700", "#7c3aed", "#be123c")
Points = Sequence[MetricPoint] | Sequence[CurvePoint]

HEIGHT = 260
MAX_POINTS = 40


def lines(
    series: Mapping[str, Sequence[MetricPoint] | Sequence[CurvePoint]], *, unit: str, alt: str, is_log: bool = False
) -> None:
    """Series by name over the optimiser step; values that are no number leave a gap."""
    names = list(series)
    values = [
        {"series": name, "step": point.step, "value": point.value}
        for name, points in series.items()
        for point in points
        if not is_log or (point.value or 0) > 0
    ]
    colour = {
        "field": "series",
        "type": "nominal",
        "title": None,
        "scale": {"domain": names, "range": [COLOURS[index % len(COLOURS)] for index in range(len(names))]},
        "legend": {"orient": "top", "labelLimit": 260} if len(names) > 1 else None,
    }
    place = {"y": _y(unit, is_log=is_log), "color": colour}
    line = {"mark": "line", "encoding": place}
    # Few values are told as points too: one alone would make no line.
    sparse = [name for name in names if len(series[name]) <= MAX_POINTS]
    dots = {
        "transform": [{"filter": {"field": "series", "oneOf": sparse}}],
        "mark": {"type": "point", "filled": True, "size": 36, "opacity": 1},
        "encoding": place,
    }
    # Values inside of a layer go to the browser as they are; above it Streamlit would load pandas to repack them.
    inner = {"data": {"values": values}, "layer": [line, dots, _rule(names)]}
    step = {"field": "step", "type": "quantitative", "title": "optimiser step"}
    st.vega_lite_chart({"height": HEIGHT, "encoding": {"x": step}, "layer": [inner]}, width="stretch", alt=alt)


def _y(unit: str, *, is_log: bool) -> dict[str, Any]:
    scale: dict[str, Any] = {"type": "log"} if is_log else {"zero": False}
    return {"field": "value", "type": "quantitative", "title": unit, "scale": scale}


def _rule(names: Sequence[str]) -> dict[str, Any]:
    """A line under the pointer, at the nearest step, that tells the value of every series."""
    tooltips: list[dict[str, Any]] = [{"field": "step", "type": "quantitative", "title": "step"}]
    tooltips += [{"field": name, "type": "quantitative", "title": name, "format": ".5~g"} for name in names]
    return {
        "transform": [{"pivot": "series", "value": "value", "groupby": ["step"]}],
        "mark": {"type": "rule", "opacity": 0.3},
        "encoding": {
            "opacity": {"condition": {"param": "near", "empty": False, "value": 0.4}, "value": 0},
            "tooltip": tooltips,
        },
        "params": [
            {
                "name": "near",
                "select": {
                    "type": "point",
                    "fields": ["step"],
                    "nearest": True,
                    "on": "pointermove",
                    "clear": "pointerout",
                },
            }
        ],
    }


UNITS = {
    "loss": "nats per token",
    "eval_loss": "nats per token",
    "learning_rate": "learning rate",
    "grad_norm": "gradient norm",
    "tokens_per_s": "tokens per second",
    "token_accuracy": "share of tokens",
    "memory_bytes": "bytes",
}


def unit_of(name: str) -> str:
    """What the values of a metric are measured in, as far as it is known here."""
    return UNITS.get(name, name.replace("_", " "))
