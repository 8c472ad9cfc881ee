"""One run at a time: an advisory file lock that ends with its process, so a crash never leaves one behind.

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


@contextmanager
def hold(
    path: Path, waiting: Callable[[float], None], *, remove: bool = False, interval: float = 0.2
) -> Iterator[None]:
    """Hold the lock at `path`; while another process has it, call `waiting(seconds so far)` every `interval` seconds.

    `remove` unlinks the file at the end. The lock is taken again if the file was replaced meanwhile: holding a lock
    on a deleted file would let two runs in.
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
