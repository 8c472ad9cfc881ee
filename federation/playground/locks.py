"""An advisory file lock, so that one run works at a time; it ends with its process, also after a crash.

Used by `binaries` (the cache) and `clusters` (a playground's directory).
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def _same_file(descriptor: int, path: Path) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    here = os.fstat(descriptor)
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def once(report: Callable[[str], None], line: str) -> Callable[[float], None]:
    """A `waiting` for `hold` that reports the line once."""
    reported = False

    def waiting(_: float) -> None:
        nonlocal reported
        if not reported:
            report(line)
            reported = True

    return waiting


@contextmanager
def hold(
    path: Path, waiting: Callable[[float], None], *, remove: bool = False, interval: float = 0.2
) -> Iterator[None]:
    """Hold the lock at `path`; while another process has it, call `waiting(seconds so far)` every `interval` seconds.

    `remove` unlinks the file at the end. The lock is taken again if the file was replaced meanwhile, because a lock on
    a deleted file excludes nobody.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            while not _try(descriptor):
                waiting(time.monotonic() - began)
                time.sleep(interval)
            if not _same_file(descriptor, path):
                continue
            yield
            if remove:
                path.unlink(missing_ok=True)
            return
        finally:
            os.close(descriptor)
