"""What the demo, the benchmark and the outage share as programs: lines on stderr, results on disk, and how they end."""

import datetime as dt
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import orjson


def report(line: str) -> None:
    """One line of progress, on stderr."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def detail(line: str) -> None:
    """One line of progress below a part's."""
    report(f"  {line}")


def explained(usage: str | None, arguments: Sequence[str]) -> int | None:
    """The exit code of a program that was only asked for help, or given arguments, of which it has none; else None.

    Its options are variables, and what it does takes minutes: whoever asks for help must not start it.
    """
    if not arguments:
        return None
    asked = {"-h", "--help", "help"}.issuperset(arguments)
    (sys.stdout if asked else sys.stderr).write(usage or "")
    return 0 if asked else 2


def interrupt_on_signals() -> None:
    """Let SIGTERM and SIGHUP end the program as Ctrl-C does, by KeyboardInterrupt."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)


def save(results: Mapping[str, Any], name: str, at: str = "") -> Path:
    """Write the results to the path `at`, or else to `<name>-<date>.json` in the working directory."""
    path = Path(at or f"{name}-{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%SZ}.json").absolute()
    path.write_bytes(orjson.dumps(results, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS))
    return path


def _interrupt(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt
