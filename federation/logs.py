"""Logs: structlog, one line per decision worth reading, JSON or for a console, never a secret.

Modules say `log.info("constant event", key=..., cluster=...)`. What they bind is ours and free of secrets by
construction; as a last guard, values of suspicious names and anything that looks like a token are replaced.
"""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

_SECRET_NAME = re.compile(r"token|password|secret_data|authorization|kubeconfig_data|private", re.IGNORECASE)
_SECRET_VALUE = re.compile(
    r"B(?:earer|asic)\s+\S+|eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*|-----BEGIN[^-]*PRIVATE KEY(?:-----[^-]*)?"
)
_HIDDEN = "<hidden>"


def configure(*, json: bool, level: str) -> None:
    """Set up logging for this process, other libraries' included."""
    number = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer() if json else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        # Frames' locals would hold credentials: exceptions are rendered without them.
        structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))
        if json
        else structlog.processors.format_exc_info,
        redact,
    ]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    # What other libraries and the event loop itself log comes out in the same form, or a log reader would stumble.
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(level=max(number, logging.WARNING), handlers=[handler], force=True)
    # It prints response bodies, Secrets included, at DEBUG.
    logging.getLogger("kubernetes_asyncio").setLevel(logging.WARNING)


def redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace what must never be printed; a structlog processor."""
    for name, value in event.items():
        event[name] = _HIDDEN if name != "event" and _SECRET_NAME.search(name) else _clean(value)
    return event


def _clean(value: Any) -> Any:
    """The value, with secrets hidden at any depth: a JSON traceback is a list of dicts."""
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return _SECRET_VALUE.sub(_HIDDEN, value)
        case dict():
            return {
                name: _HIDDEN if isinstance(name, str) and _SECRET_NAME.search(name) else _clean(item)
                for name, item in value.items()
            }
        case list() | tuple():
            cleaned = [_clean(item) for item in value]
            return cleaned if isinstance(value, list) else tuple(cleaned)
        case _:
            text = str(value)
            return _SECRET_VALUE.sub(_HIDDEN, text) if _SECRET_VALUE.search(text) else value
