"""Logs: structlog, one line for each decision that may matter to a reader, as JSON or for a console, without secrets.

Modules call `log.info("constant event", key=..., cluster=...)`. They bind no secrets; as a last guard, values with
names such as `token`, and everything that looks like a token, are replaced.
"""

import functools
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
        # Local variables may hold credentials: tracebacks are rendered without them.
        structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))
        if json
        else structlog.processors.format_exc_info,
        redact,
    ]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=getattr(sys.stderr, "raw", sys.stderr)),
        cache_logger_on_first_use=True,
    )
    # Other libraries' and the event loop's log lines get the same form, so that a program can read the whole log.
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(level=max(number, logging.WARNING), handlers=[handler], force=True)
    # It logs response bodies, Secrets included, at DEBUG.
    logging.getLogger("kubernetes_asyncio").setLevel(logging.WARNING)


def redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace what must never be printed; a structlog processor."""
    texts = [value for value in event.values() if isinstance(value, str)]
    if len(texts) == len(event) and not any(map(_is_secret, event)) and not _SECRET_VALUE.search("\n".join(texts)):
        return event  # most lines: one search instead of seven, 2 us instead of 6
    for name, value in event.items():
        event[name] = _HIDDEN if name != "event" and _is_secret(name) else _clean(value)
    return event


@functools.lru_cache(maxsize=1024)
def _is_secret(name: str) -> bool:
    return _SECRET_NAME.search(name) is not None


def _clean(value: Any) -> Any:
    """The value, with secrets hidden at any depth: a JSON traceback is a list of dicts."""
    if isinstance(value, str):
        return _SECRET_VALUE.sub(_HIDDEN, value)
    match value:
        case None | bool() | int() | float():
            return value
        case dict():
            return {
                name: _HIDDEN if isinstance(name, str) and _is_secret(name) else _clean(item)
                for name, item in value.items()
            }
        case list() | tuple():
            cleaned = [_clean(item) for item in value]
            return cleaned if isinstance(value, list) else tuple(cleaned)
        case _:
            text = str(value)
            return _SECRET_VALUE.sub(_HIDDEN, text) if _SECRET_VALUE.search(text) else value
