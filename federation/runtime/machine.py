"""Which process this is, and whether another one of this machine has ended: it cannot write any more then.

The machine is known by the boot of its kernel and the process namespace, so that a process number means the same
process for both. Where the system does not tell (no /proc), nothing is concluded.
"""

import hashlib
import os
import re
import socket
from pathlib import Path
from typing import NamedTuple

_ENDED = frozenset("ZXx")
"""States of a process that runs no more, though it may still be listed."""
_NAME = re.compile(r"(?P<host>.+)_(?P<machine>[0-9a-f]+)-(?P<pid>[0-9]{1,9})-(?P<started>[0-9]{1,18})-[0-9a-f]+")


class Process(NamedTuple):
    """A process of one machine. `machine` is a boot of a kernel and a process namespace in it, "" where that is not
    known; `started` is in the kernel's ticks since that boot.
    """

    host: str
    machine: str
    pid: int
    started: int

    def name(self, unique: str) -> str:
        """A name that says which process it is; `unique` (hexadecimal) makes it one that nobody else has."""
        return f"{self.host}_{self.machine or '0'}-{self.pid}-{self.started}-{unique}"


def named(name: str) -> Process | None:
    """The process that has given itself this name; None where it is no such name."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    return Process(found["host"], found["machine"], int(found["pid"]), int(found["started"]))


def this_process() -> Process:
    """This process."""
    pid = os.getpid()
    return Process(socket.gethostname(), _machine(), pid, _started(pid) or 0)


def ended(process: Process) -> bool:
    """Whether a process is known to have ended: it was one of this machine, and there is none of its number now, or
    one that began at another time.
    """
    here = this_process()
    if not here.machine or (process.host, process.machine) != (here.host, here.machine):
        return False
    try:
        os.kill(process.pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        pass  # it is another user's
    found = _stat(process.pid)
    return bool(found) and (found[0] in _ENDED or found[19] != str(process.started))


def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_bytes()
        namespace = os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return ""
    return hashlib.sha256(b"%s %d" % (boot, namespace)).hexdigest()[:12]


def _started(pid: int) -> int | None:
    """When it began, in the kernel's ticks since the boot; None where that is not shown."""
    found = _stat(pid)
    return int(found[19]) if found else None


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on: its state is the first of them, its start the twentieth."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return []
    fields = text.rpartition(")")[2].split()
    return fields if len(fields) > 19 else []
