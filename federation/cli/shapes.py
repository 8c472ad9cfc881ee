"""The output formats of lists: kubectl's wide, name, json, yaml, jsonpath and custom-columns, and --sort-by."""

import pathlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from federation.cli.options import Function

if TYPE_CHECKING:
    from federation.cli.jsonpath import Path, Template
    from federation.model.resources import Resource

PLAIN = ("wide", "json", "yaml", "name")
_JSONPATH, _COLUMNS = "jsonpath", "custom-columns"
_FORMATS = (*PLAIN, f"{_JSONPATH}=", f"{_JSONPATH}-file=", f"{_COLUMNS}=", f"{_COLUMNS}-file=")

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Shape:
    """A format. `name` is "" for the table; `template` is that of jsonpath, `columns` are headers and paths."""

    name: str = ""
    template: "Template | None" = None
    columns: "tuple[tuple[str, Path], ...]" = ()

    @property
    def is_table(self) -> bool:
        """Whether it is the list's own table."""
        return self.name in ("", "wide")


def output(function: Function) -> Function:
    """Add -o; the verb gets `output`, a Shape."""
    return click.option(
        "-o",
        "--output",
        type=shape,
        default="",
        metavar="FORMAT",
        shell_complete=_formats,
        help="wide, json, yaml, name, jsonpath=TEMPLATE or custom-columns=HEADER:PATH,...; the last two also as a "
        "-file=PATH.",
    )(function)


def shape(text: str) -> Shape:
    """The format of that name. Raises BadParameter."""
    from federation.cli import jsonpath  # noqa: PLC0415
    from federation.model.errors import Invalid  # noqa: PLC0415

    if text in ("", *PLAIN):
        return Shape(text)
    name, _, rest = text.partition("=")
    base = name.removesuffix("-file")
    if base not in (_JSONPATH, _COLUMNS):
        raise click.BadParameter(f"{text!r} is none of {', '.join(_FORMATS)}")
    if not rest:
        raise click.BadParameter(f"{name} needs a {'file' if name != base else 'template'}: {name}=...")
    try:
        if name != base:
            rest = pathlib.Path(rest).read_text(encoding="utf-8")
        if base == _JSONPATH:
            return Shape(base, template=jsonpath.template(rest))
        pairs = _of_lines(rest) if name != base else _of_list(rest)
        return Shape(base, columns=tuple((header, jsonpath.path(path)) for header, path in pairs))
    except OSError as error:
        raise click.BadParameter(f"{name}: {rest} cannot be read: {error.strerror}") from None
    except (Invalid, UnicodeDecodeError) as error:
        raise click.BadParameter(str(error)) from None


def _formats(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    return [each for each in _FORMATS if each.startswith(incomplete)]


def _of_list(text: str) -> list[tuple[str, str]]:
    """HEADER:PATH,HEADER:PATH; commas within brackets and quotes are the path's own."""
    parts, depth, mark, start = [], 0, "", 0
    for place, sign in enumerate(text):
        if mark:
            mark = "" if sign == mark else mark
        elif sign in "'\"":
            mark = sign
        elif sign in "([{":
            depth += 1
        elif sign in ")]}":
            depth -= 1
        elif sign == "," and depth == 0:
            parts.append(text[start:place])
            start = place + 1
    return [_column(part) for part in [*parts, text[start:]]]


def _column(text: str) -> tuple[str, str]:
    from federation.model.errors import Invalid  # noqa: PLC0415

    header, colon, path = text.partition(":")
    if not colon or not header or not path:
        raise Invalid(_COLUMNS, f"{text!r} is not HEADER:PATH")
    return header, path


def _of_lines(text: str) -> list[tuple[str, str]]:
    """A line of headers, and one of paths."""
    from federation.model.errors import Invalid  # noqa: PLC0415

    lines = [line.split() for line in text.splitlines() if line.strip()]
    if len(lines) != 2 or len(lines[0]) != len(lines[1]):
        raise Invalid(_COLUMNS, "the file must have a line of headers, and one with as many paths")
    return list(zip(*lines, strict=True))


def cells(shape: Shape, found: Object) -> tuple[str, ...]:
    """The custom columns of an object; as kubectl, several values with commas."""
    from federation.cli import jsonpath  # noqa: PLC0415

    return tuple(",".join(jsonpath.shown(each) for each in path.find(found)) for _, path in shape.columns)


def name(resource: "Resource", found: Object) -> str:
    """As `-o name` has it: `federateddeployment.types.kubefed.io/web`."""
    return f"{resource.kind.lower()}.{resource.group}/{found['metadata']['name']}"


def order(text: str) -> Callable[[Object], Any]:
    """The key by which --sort-by sorts: numbers before texts, by their size; what is not there comes first.

    Raises Invalid.
    """
    from federation.cli import jsonpath  # noqa: PLC0415

    path = jsonpath.path(text)

    def key(found: Object) -> tuple[int, Any]:
        values: Sequence[Any] = path.find(found)
        value = values[0] if values else None
        if value is None:
            return 0, 0
        if isinstance(value, int | float):
            return 1, float(value)
        return 2, jsonpath.shown(value)

    return key
