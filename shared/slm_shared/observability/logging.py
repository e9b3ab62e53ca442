"""Structured logs: one event a line, with the trace that it belongs to."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog
from opentelemetry import trace
from opentelemetry._logs import Logger, LogRecord, SeverityNumber

SEVERITIES = {
    logging.DEBUG: SeverityNumber.DEBUG,
    logging.INFO: SeverityNumber.INFO,
    logging.WARNING: SeverityNumber.WARN,
    logging.ERROR: SeverityNumber.ERROR,
    logging.CRITICAL: SeverityNumber.FATAL,
}
# What the export itself logs would be exported, and so on.
EXPORTERS = ("opentelemetry", "urllib3")
# The record has these in fields of its own.
NOT_ATTRIBUTES = {"event", "level", "timestamp", "trace_id", "span_id", "exc_info"}


def _add_trace(_logger: Any, _method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        entry["trace_id"] = trace.format_trace_id(span.trace_id)
        entry["span_id"] = trace.format_span_id(span.span_id)
    return entry


def configure_logging(service: str, *, level: str = "INFO") -> None:
    """Send structlog and the standard library's logs to standard error: colours on a terminal, JSON lines otherwise."""
    renderer: Any = (
        structlog.dev.ConsoleRenderer()
        if sys.stderr.isatty()
        else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_trace,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level.upper()),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            renderer,
        ],
    )
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler, *(each for each in root.handlers if isinstance(each, LogExport))]
    root.setLevel(level.upper())
    logging.getLogger("uvicorn.access").disabled = True
    structlog.contextvars.bind_contextvars(service=service)


class LogExport(logging.Handler):
    """Gives every log record to OpenTelemetry: the event as its body, the other fields as attributes."""

    def __init__(self, logger: Logger) -> None:
        super().__init__()
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        """Pass one record on, with the span that it was written in."""
        if record.name.startswith(EXPORTERS):
            return
        # What structlog hands on has its event as a dict in place of the message.
        entry: dict[str, Any] = record.msg if isinstance(record.msg, dict) else {"event": record.getMessage()}
        attributes = {key: _attribute(value) for key, value in entry.items() if key not in NOT_ATTRIBUTES}
        self._logger.emit(
            LogRecord(
                timestamp=int(record.created * 1e9),
                severity_number=SEVERITIES.get(record.levelno, SeverityNumber.UNSPECIFIED),
                severity_text=record.levelname,
                body=str(entry.get("event", "")),
                attributes=attributes,
                exception=_exception(entry.get("exc_info") or record.exc_info),
            )
        )


def _attribute(value: Any) -> str | int | float | bool:
    return value if isinstance(value, str | int | float | bool) else str(value)


def _exception(info: Any) -> BaseException | None:
    if isinstance(info, tuple):
        info = info[1]
    elif info is True:
        info = sys.exc_info()[1]
    return info if isinstance(info, BaseException) else None
