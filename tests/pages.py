"""The command blocks of README and docs, and what the suite does with each.

A mark stands right above the block, where a reader of the page does not see it:

    <!-- runs -->                  every command ends with exit code 0
    <!-- runs, codes 0 1 -->       every command ends with one of these exit codes
    <!-- not run: why -->          and what shows it instead, a test by name where there is one

A `sh` block is run as it stands. Of a `console` block the lines that begin with "$ " are run, and the line below each,
a header or a sentence, must be among what is printed.
"""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
_FENCE = re.compile(r"^ *```(?P<language>[a-z]*)\n(?P<text>.*?)^ *```$", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"<!-- (?:(?P<runs>runs)(?:, codes (?P<codes>[0-9 ]+))?|not run: (?P<why>[^>]+)) -->\s*\Z")
LANGUAGES = ("sh", "console")
"""Of blocks that hold commands."""


@dataclass(frozen=True, slots=True)
class Expected:
    """A command of a console block, and the first line that the page shows below it."""

    command: str
    shown: str


@dataclass(frozen=True, slots=True)
class Block:
    """One block of commands. `codes` are the exit codes that its commands may have; () where it has no mark."""

    page: str
    line: int
    language: str
    text: str
    codes: tuple[int, ...] = ()
    why_not: str = ""

    @property
    def where(self) -> str:
        """Page and line, as editors open it."""
        return f"{self.page}:{self.line}"

    @property
    def expected(self) -> tuple[Expected, ...]:
        """The commands of a console block."""
        lines = self.text.splitlines()
        return tuple(
            Expected(line.removeprefix("$ "), lines[number + 1] if number + 1 < len(lines) else "")
            for number, line in enumerate(lines)
            if line.startswith("$ ")
        )


def pages() -> list[Path]:
    """README and everything in docs."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page: Path) -> list[Block]:
    """The blocks of commands of one page, from top to bottom."""
    text = page.read_text()
    found = []
    for fence in _FENCE.finditer(text):
        if fence["language"] not in LANGUAGES:
            continue
        mark = _MARK.search(text[: fence.start()])
        codes: tuple[int, ...] = ()
        if mark is not None and mark["runs"]:
            codes = tuple(int(each) for each in (mark["codes"] or "0").split())
        found.append(
            Block(
                page=str(page.relative_to(ROOT)),
                line=text.count("\n", 0, fence.start()) + 1,
                language=fence["language"],
                text=fence["text"],
                codes=codes,
                why_not=(mark["why"] or "").strip() if mark is not None else "",
            )
        )
    return found


def script(run: list[Block]) -> str:
    """One bash script of all blocks, in one session: what one exports the next one has.

    It ends at the first command with a code that its block does not expect, and says on stderr in which block.
    """
    parts = []
    for block in run:
        codes = " ".join(map(str, block.codes))
        parts.append(f"echo '### {block.where}' >&2")
        parts.append(f"""trap 'code=$?; case " {codes} " in *" $code "*) ;; *) exit $code;; esac' ERR""")
        if block.language == "sh":
            parts.append(block.text)
            continue
        for each in block.expected:
            parts.append(f"output=$({each.command} 2>&1)\nprintf '%s\\n' \"$output\"")
            words = " ".join(each.shown.split()).replace("'", "'\\''")
            parts.append(f"printf '%s\\n' \"$output\" | tr -s ' ' | sed 's/ $//' | grep -qxF -- '{words}'")
    return "\n".join(parts) + "\nexit 0\n"
