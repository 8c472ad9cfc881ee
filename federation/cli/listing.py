"""Show lists of the host's objects in every format, sorted, filtered, and once more whenever one changes (-w)."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from federation.cli import options, shapes
from federation.cli.options import Function
from federation.cli.shapes import Shape

if TYPE_CHECKING:
    from federation.model.resources import Resource
    from federation.seeing.watching import Watching

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class View:
    """What to list and how to show it."""

    selector: str = ""
    output: Shape = Shape()  # noqa: RUF009 (it is frozen)
    headers: bool = True
    watch: bool = False
    watch_only: bool = False
    not_ready: bool = False
    sort_by: str = ""

    @property
    def wide(self) -> bool:
        """Whether the table has all columns."""
        return self.output.name == "wide"


@dataclass(frozen=True, slots=True)
class Item:
    """One object of a list; `type` is the name of its FederatedTypeConfig, where it is a federated one."""

    resource: "Resource"
    found: Object
    type: str = ""

    @property
    def order(self) -> tuple[str, str, str]:
        """How lists are sorted: by namespace, type and name."""
        metadata = self.found["metadata"]
        return str(metadata.get("namespace") or ""), self.type, str(metadata["name"])


@dataclass(frozen=True, slots=True)
class Table:
    """A list's own table: its header, a row for an object as it is now, whether it is as it should be (`ready`), and
    what is said of a list without any."""

    header: Sequence[str]
    row: Callable[[Item], Sequence[str]]
    ready: Callable[[Item], bool]
    empty: str = ""


def flags(function: Function) -> Function:
    """Add the flags of a list; the verb gets them as `view`."""

    def wrapped(
        *,
        selector: str,
        output: Shape,
        no_headers: bool,
        watch: bool,
        watch_only: bool,
        not_ready: bool,
        sort_by: str,
        **rest: Any,
    ) -> Any:
        view = View(selector, output, not no_headers, watch or watch_only, watch_only, not_ready, sort_by)
        return function(view=view, **rest)

    wrapped.__doc__ = function.__doc__
    for add in (
        options.host,
        click.option("-l", "--selector", default="", metavar="SELECTOR", help="Label selector, as kubectl's."),
        shapes.output,
        options.switch("--no-headers", text="Leave out the first line."),
        options.switch("-w", "--watch", text="Go on with what changes, until interrupted."),
        options.switch("--watch-only", text="Leave out what there is at the beginning, and show what changes."),
        options.switch("--not-ready", text="Only what is not as it should be."),
        click.option("--sort-by", default="", metavar="JSONPATH", help="Default: by namespace, type and name."),
    ):
        wrapped = add(wrapped)
    return wrapped


def show(items: Sequence[Item], view: View, table: Table, *, named: bool, single: bool) -> list[int]:
    """Print a list; the widths of its columns. `named`: the user has named its objects, in this order."""
    chosen = [each for each in items if not view.not_ready or not table.ready(each)]
    chosen = _sorted(chosen, view, named=named)
    shape = view.output
    if view.watch_only:
        chosen = []
    elif shape.name in ("json", "yaml", "jsonpath"):
        _documents([each.found for each in chosen], shape, single=single)
        return []
    elif shape.name == "name":
        for each in chosen:
            click.echo(shapes.name(each.resource, each.found))
        return []
    return _table(chosen, view, table)


def _sorted(items: Sequence[Item], view: View, *, named: bool) -> list[Item]:
    if view.sort_by:
        key = shapes.order(view.sort_by)
        return sorted(items, key=lambda each: key(each.found))
    return list(items) if named else sorted(items, key=lambda each: each.order)


def _documents(found: Sequence[Object], shape: Shape, *, single: bool) -> None:
    from federation.cli import printing  # noqa: PLC0415

    readable = [printing.readable(each) for each in found]
    if shape.template is None:
        if readable or not single:
            printing.emit(readable, shape.name, single=single)
        return
    value: Any = {"apiVersion": "v1", "kind": "List", "items": readable}
    if single:
        value = readable[0] if readable else {}
    click.echo(shape.template.fill(value), nl=False)


def _table(items: Sequence[Item], view: View, table: Table) -> list[int]:
    from federation.cli import printing  # noqa: PLC0415

    header: Sequence[str] = [name for name, _ in view.output.columns] or table.header
    rows = [_cells(each, view, table) for each in items]
    if rows:
        printing.table(header, rows, headers=view.headers)
    elif not view.watch:
        options.report(table.empty)
    shown = [header, *rows] if view.headers else rows
    return [max((len(printing.plain(row[column])) for row in shown), default=0) for column in range(len(header))]


def _cells(item: Item, view: View, table: Table) -> Sequence[str]:
    return shapes.cells(view.output, item.found) if view.output.columns else table.row(item)


async def follow(
    watched: "Sequence[tuple[Watching, str]]", names: Sequence[str], view: View, table: Table, widths: Sequence[int]
) -> None:
    """Print what changes, until it is cancelled. `watched` are the collections, with the name of their type."""
    import asyncio  # noqa: PLC0415 (help does without)

    queue: asyncio.Queue[tuple[str, Item]] = asyncio.Queue()

    async def one(watching: "Watching", type_: str) -> None:
        async for kind, found in watching.follow():
            await queue.put((kind, Item(watching.resource, found, type_)))

    unready: set[str] = set()
    tasks = [asyncio.create_task(one(*each)) for each in watched]
    try:
        while True:
            come = asyncio.ensure_future(queue.get())
            done, _ = await asyncio.wait({come, *tasks}, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task in done:
                    task.result()  # it ends by an error alone
            _, item = await come
            uid = str(item.found["metadata"].get("uid"))
            ready = table.ready(item)
            if (names and item.found["metadata"]["name"] not in names) or (
                view.not_ready and ready and uid not in unready
            ):
                continue
            unready.discard(uid) if ready else unready.add(uid)  # when it becomes ready, that is told once
            _changed(item, view, table, widths)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _changed(item: Item, view: View, table: Table, widths: Sequence[int]) -> None:
    """One object that has changed: by itself, in the format that was asked for."""
    from federation.cli import printing  # noqa: PLC0415

    shape = view.output
    if shape.name in ("json", "yaml", "jsonpath"):
        _documents([item.found], shape, single=True)
    elif shape.name == "name":
        click.echo(shapes.name(item.resource, item.found))
    else:
        cells = [printing.plain(cell) or "<none>" for cell in _cells(item, view, table)]
        padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
        click.echo("   ".join(padded).rstrip())
    sys.stdout.flush()
