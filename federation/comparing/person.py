"""What a person does: commands of fedctl, typed at the hub or in a member, and what is carried between them."""

import asyncio
import os
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from federation.comparing.fleet import FEDCTL


class Side(StrEnum):
    """Whose kubeconfig a command needs."""

    HUB = "hub"
    MEMBER = "member"
    BOTH = "both"
    """In one place: whoever types it is admin of both."""


@dataclass(frozen=True, slots=True)
class Typed:
    """One command. `carries` names the credentials that it takes from one cluster to another."""

    side: Side
    command: str
    """Without secrets."""
    carries: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Said:
    """What a command answered."""

    code: int
    out: str
    err: str


class Person:
    """Types commands; `kubeconfig` has a context for each cluster. What was typed stays in `typed`."""

    def __init__(self, kubeconfig: Path) -> None:
        self._kubeconfig = kubeconfig
        self.typed: list[Typed] = []

    async def types(
        self, side: Side, *arguments: str, carries: Sequence[str] = (), secret: str = "", check: bool = True
    ) -> Said:
        """Run `fedctl`; `secret` is not written down. Raises RuntimeError where a command that must succeed fails."""
        shown = shlex.join(["fedctl", *("..." if secret and each == secret else each for each in arguments)])
        self.typed.append(Typed(side, shown, tuple(carries)))
        said = await self.looks(*arguments)
        if check and said.code:
            raise RuntimeError(f"{shown} ended with {said.code}: {said.err.strip() or said.out.strip()}")
        return said

    async def looks(self, *arguments: str, kubeconfig: Path | None = None) -> Said:
        """The same, of a command that only looks, and that is not written down."""
        process = await asyncio.create_subprocess_exec(
            FEDCTL,
            *arguments,
            env={**os.environ, "KUBECONFIG": str(kubeconfig or self._kubeconfig), "NO_COLOR": "1", "COLUMNS": "200"},
            stdin=subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            out, err = await process.communicate()
        except asyncio.CancelledError:
            process.kill()
            await process.wait()
            raise
        return Said(process.returncode or 0, out.decode(), err.decode())
