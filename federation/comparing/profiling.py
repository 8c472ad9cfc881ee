"""Where a process spends its time: samples of its stack by py-spy, where that is installed, and the shares that follow.

py-spy reads the process from outside and does not slow it down. It is no part of the product: `pip install py-spy`.
"""

import asyncio
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

RATE = 100
"""Samples per second."""
_LEAST = 2.0
"""Percent below which parts are put together."""


def tool() -> str | None:
    """Where py-spy is: beside our interpreter, or on the PATH."""
    beside = Path(sys.executable).with_name("py-spy")
    return str(beside) if beside.exists() else shutil.which("py-spy")


async def sample(pid: int, seconds: float) -> Mapping[str, float]:
    """Percent of the time in which it ran, by part. Empty where py-spy is not installed or may not look."""
    program = tool()
    if program is None:
        return {}
    with tempfile.TemporaryDirectory(prefix="federation-compare-") as directory:
        output = Path(directory) / "stacks"
        command = [program, "record", "--format=raw", f"--rate={RATE}", f"--duration={max(1, round(seconds))}"]
        process = await asyncio.create_subprocess_exec(
            *command,
            f"--output={output}",
            f"--pid={pid}",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            await process.wait()
        except asyncio.CancelledError:
            process.kill()
            await process.wait()
            raise
        return shares(output.read_text()) if process.returncode == 0 and output.exists() else {}


def shares(stacks: str) -> Mapping[str, float]:
    """Percent by part, the largest first, of lines `frame;frame;... count`, the innermost frame last.

    A part is the package of ours that is innermost in the stack: what it calls of libraries is its.
    """
    counted: Counter[str] = Counter()
    for line in stacks.splitlines():
        frames, _, count = line.rpartition(" ")
        if frames:
            counted[_part(frames.split(";"))] += int(count)
    total = sum(counted.values())
    found: dict[str, float] = {}
    for part, times in counted.most_common():
        percent = 100 * times / total
        name = part if percent >= _LEAST else "others"
        found[name] = found.get(name, 0.0) + percent
    return {part: round(percent, 1) for part, percent in found.items()}


def _part(frames: list[str]) -> str:
    for frame in reversed(frames):
        _, found, path = frame.partition("federation/")
        if found:
            package, slash, _ = path.partition("/")
            return f"federation.{package}" if slash else f"federation.{package.partition('.')[0]}"
    return "event loop and libraries"
