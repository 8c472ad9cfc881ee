"""How an explanation is shown for people; clusters of which the same is to be said are one paragraph."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from federation.cli import printing, rows

_NAMED = 5
_SIGNS = {True: "selected", False: "not selected", None: "not known whether selected"}


def show(found: Mapping[str, Any], now: dt.datetime, *, manifest: bool) -> None:
    """Print it."""
    for line in lines(found, now, manifest=manifest):
        click.echo(printing.plain(line))


def lines(found: Mapping[str, Any], now: dt.datetime, *, manifest: bool = False) -> Iterator[str]:
    """The lines."""
    yield from _heading(found)
    groups: dict[tuple[str, ...], list[str]] = {}
    for each in found["clusters"]:
        groups.setdefault(tuple(_cluster(each, now, manifest=manifest)), []).append(each["cluster"])
    for body, names in groups.items():
        yield ""
        yield f"{_names(names)}: {body[0]}"
        yield from (f"  {line}" for line in body[1:])


def _heading(found: Mapping[str, Any]) -> Iterator[str]:
    what = found["object"]
    place = "/".join(filter(None, (what.get("namespace"), what["name"])))
    generation, observed = found.get("generation"), found.get("observedGeneration")
    seen = "" if generation == observed else f"; the controller has observed {observed or 'none'}"
    yield f"{what['kind']} {place} (type {found['type']}), generation {generation}{seen}"
    told = [f"{each['policy']} {_value(each['value'])} ({each['from']})" for each in found["policies"]]
    yield f"policies: {', '.join(told)}"
    yield from (f"note: {note}" for note in found["notes"])


def _cluster(each: Mapping[str, Any], now: dt.datetime, *, manifest: bool) -> Iterator[str]:
    yield f"{_SIGNS[each['selected']]}: {each['because']}"
    if "cordoned" in each:
        yield f"cordoned: {each['cordoned']}"
    if "notReady" in each:
        since = rows.age(each["notReady"].get("lastTransitionTime"), now)
        why = each["notReady"].get("message") or each["notReady"].get("reason") or "it has not been probed yet"
        yield f"the controller does not reach it{f' for {since}' if since else ''}: {why}"
    if "reported" in each:
        yield f"reported: {_reported(each['reported'], now)}"
    if "way" in each:
        yield _way(each["way"], now)
    if "unknown" in each:
        yield f"not known what is there: {each['unknown']}"
    if "refused" in each:
        yield f"nothing can be sent: {each['refused']}"
    if "now" in each:
        yield from _now(each["now"])
    if "manifest" in each:
        yield from _sent(each, manifest=manifest)
    for one in each.get("different", ()):
        yield _different(one)
    for one in each.get("waits", ()):
        what = f": {one['for']}" if one["for"] else ""
        yield f"waits: {one['state']}{what}"
        if one["again"]:
            yield f"  tried again {one['again']}"


def _reported(found: Mapping[str, Any], now: dt.datetime) -> str:
    since = rows.age(found.get("since"), now)
    parts = [str(found.get("state") or "")]
    parts += [f"generation {found['generation']}"] if found.get("generation") else []
    parts += [f"for {since}"] if since else []
    return " ".join(parts) + (f": {found['message']}" if found.get("message") else "")


def _way(found: Mapping[str, Any], now: dt.datetime) -> str:
    since = rows.age(found.get("since"), now)
    parts = [f"{found['stage']}{f' for {since}' if since else ''}", found.get("message"), found.get("silent")]
    name = f"ManifestWork {found['work']}: " if "work" in found else ""
    return f"on its way: {name}{'; '.join(filter(None, parts))}"


def _now(found: Mapping[str, Any]) -> Iterator[str]:
    parts = [found[name] for name in ("because", "message") if found.get(name)]
    yield f"now: {found['change']}" + (f": {'; '.join(parts)}" if parts else "")
    for field in found.get("fields", ()):
        if "before" not in field:
            yield f"  {field['path']}"
        else:
            yield f"  {field['path']} {_shown(field['before'])} -> {_shown(field['after'])}"


def _sent(each: Mapping[str, Any], *, manifest: bool) -> Iterator[str]:
    yield f"sent: the template as {each['apiVersion']}" + ("" if each.get("overrides") else ", without overrides")
    for one in each.get("overrides", ()):
        values = f": {_shown(one['before'])} -> {_shown(one['after'])}" if "before" in one else ""
        yield f"  {one['override']}: {one['op']} {one['path']}{values}"
    if manifest:
        yield from (f"  | {line}" for line in printing.yaml_documents([each["manifest"]]).splitlines())


def _different(one: Mapping[str, Any]) -> str:
    values = f" is {_shown(one['there'])}, sent is {_shown(one['sent'])}" if "sent" in one else ""
    owners = ", ".join(f'"{manager}"' for manager in one["managers"]) or "nobody"
    return f"different there: {one['path']}{values}; owned by {owners}; {one['why']}"


def _shown(value: str | None) -> str:
    return "nothing" if value is None else value


def _value(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _names(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= _NAMED else f"{len(names)} clusters ({', '.join(names[:_NAMED])}, ...)"
