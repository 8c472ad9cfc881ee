"""Show how whole objects differ, as kubectl diff does: as `diff -u -N`, or by the program in KUBECTL_EXTERNAL_DIFF.

What an external program prints goes to the terminal as it is. It gets YAML files, in which control characters are
written out; files of Secrets hold no values.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from federation.cli import printing, visible

if TYPE_CHECKING:
    from federation.seeing.diffing import Pair

_EXTERNAL = "KUBECTL_EXTERNAL_DIFF"
_ARGUMENT = re.compile(r"[A-Za-z0-9=-]+")
"""Arguments of the external program that kubectl passes on; it leaves out all others."""
_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


def show(pairs: Sequence["Pair"]) -> bool:
    """Print how they differ; whether they do. Raises Invalid where the external program fails."""
    if not pairs:
        return False
    if words := os.environ.get(_EXTERNAL, "").split():
        return _external(pairs, words)
    coloured = printing.coloured()
    for each in pairs:
        for line in unified(each):
            colour = _COLOURS.get(line[:1]) if coloured else None
            if colour and not line.startswith(("---", "+++")):
                click.secho(visible.line(line), fg=colour, color=True, file=visible.raw(sys.stdout))
            else:
                click.echo(visible.line(line))
    return True


def unified(pair: "Pair") -> Iterator[str]:
    """The lines of a unified diff."""
    import difflib  # noqa: PLC0415 (help does without)

    one, other = f"LIVE/{pair.name}", f"MERGED/{pair.name}"
    yield f"diff -u -N {one} {other}"
    before, after = text(pair.before).splitlines(), text(pair.after).splitlines()
    yield from difflib.unified_diff(before, after, one, other, lineterm="")


def text(document: Mapping[str, Any] | None) -> str:
    """An object as YAML with sorted keys, as kubectl writes it; nothing for none."""
    if document is None:
        return ""
    from typegen.kubeyaml import writing  # noqa: PLC0415

    return writing.dump([document], sort_keys=True)


def _external(pairs: Sequence["Pair"], words: Sequence[str]) -> bool:
    """Run the program on two folders. Its exit codes are diff's: 0 the same, 1 different, above: it failed."""
    from federation.model.errors import Invalid  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="fedctl-diff-") as made:
        folders = [pathlib.Path(made, name) for name in ("LIVE", "MERGED")]
        for folder in folders:
            folder.mkdir(mode=0o700)
        for each in pairs:
            for folder, document in zip(folders, (each.before, each.after), strict=True):
                if document is not None:
                    (folder / each.name).write_text(text(document), encoding="utf-8")
        arguments = [word for word in words[1:] if _ARGUMENT.fullmatch(word)]
        sys.stdout.flush()
        try:
            ran = subprocess.run(  # noqa: S603 (the user's own program, from his environment, without a shell)
                [words[0], *map(str, folders), *arguments], check=False, stdout=subprocess.PIPE
            )
        except OSError as error:
            raise Invalid(_EXTERNAL, f"{words[0]} cannot be run: {error.strerror}") from None
        raw = visible.raw(sys.stdout)
        raw.write(ran.stdout.decode(errors="replace"))
        raw.flush()
    if ran.returncode > 1 or ran.returncode < 0:
        raise Invalid(_EXTERNAL, f"{words[0]} failed with exit code {ran.returncode}")
    return ran.returncode == 1
