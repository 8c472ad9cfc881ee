"""Print YAML so that kubectl and `reading` get the same values again; the same bytes with libyaml or without."""

import functools
from collections.abc import Iterable
from typing import Any

from typegen.kubeyaml import scalars


def dump(documents: Iterable[Any], *, sort_keys: bool = False, width: int = 120, explicit_start: bool = False) -> str:
    """Documents in block style, `---` between them, without aliases; texts of several lines are literal blocks."""
    import yaml  # noqa: PLC0415 (not needed for --help)

    result: str = yaml.dump_all(
        documents,
        Dumper=_dumper(),
        sort_keys=sort_keys,
        default_flow_style=False,
        explicit_start=explicit_start,
        allow_unicode=True,
        width=width,
    )
    return result


@functools.cache
def _dumper() -> type[Any]:
    import yaml  # noqa: PLC0415

    base: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

    class Dumper(base):  # type: ignore[misc]
        """SafeDumper without aliases (shared parts are written out) that quotes what kubectl would not read as text.

        PyYAML also quotes what other readers of YAML 1.1 would not read as text: 1:30 and dates.
        """

        def ignore_aliases(self, data: Any) -> bool:
            return True

    def string(dumper: Any, text: str) -> Any:
        style = "|" if "\n" in text and _fits_literal(text) else None if scalars.is_text(text) else "'"
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)

    Dumper.add_representer(str, string)
    return Dumper


def _fits_literal(text: str) -> bool:
    """Whether `text` can be a literal block; where it cannot, emitters use different styles."""
    return not text[0].isspace() and all(line == line.rstrip() and line.isprintable() for line in text.split("\n"))
