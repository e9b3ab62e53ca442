"""Traces, metrics and logs over OTLP, when an operator asks for them.

The standard variables of OpenTelemetry decide (https://opentelemetry.io/docs/specs/otel/protocol/exporter/). Without
`OTEL_EXPORTER_OTLP_ENDPOINT` nothing of its SDK is imported or started.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


def is_wanted() -> bool:
    """Whether this process is to export anything."""
    return bool(os.environ.get(ENDPOINT)) and os.environ.get("OTEL_SDK_DISABLED", "").lower() != "true"


@contextmanager
def exporting(service: str) -> Iterator[None]:
    """Export what this process does while the block runs, under the name `slm-<service>`; then send what is left."""
    if not is_wanted():
        yield
        return
    # 25 MB and 0.2 s that nobody else should pay for.
    from slm_shared.observability.providers import Providers  # noqa: PLC0415

    providers = Providers(f"slm-{service}")
    try:
        yield
    finally:
        providers.shutdown()
