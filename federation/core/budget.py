"""Keep a status within its budget; used by summary.fold.

One status is one etcd value, rewritten at every change: at 400 bytes a cluster 3,500 clusters would come near etcd's
limit of 1.5 MB. What members report of themselves gives way first: remoteStatus, then why a copy is not well, then how
much of it is ready. Then times, messages, fingerprints of failing clusters and lines; what is left out is counted. What
fits depends on the lines alone, so that the same lines always give the same answer.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import NamedTuple

import msgspec

from federation.core import sharing
from federation.model.conditions import PropagationStatus
from federation.model.status import ClusterStatus

TOTAL = 256 * 1024
"""Bytes of JSON for a whole status, as the API server stores it. Not counted are conditions of others beyond what is
reserved for all conditions."""

MESSAGE = 300
"""Characters of one message."""

_CONDITIONS = 16 * 1024
CAPS = (MESSAGE, 120, 40)
"""What messages are cut to, the first with which all of them fit."""
_REFERENCE = "same as "
_SINCE = len(',"since":"2026-01-01T00:00:00Z"')
_MESSAGE_MEMBER = len(',"message":')
_REMOTE_MEMBER = len(',"remoteStatus":')
_WORST_LINE = 253 + 6 * MESSAGE + 200
_EXAMPLES = len(PropagationStatus) * (_MESSAGE_MEMBER + 6 * CAPS[1] + 2)
"""Bytes of a message for each status, at most."""
_DROPPED = len(',"generation":,"fingerprint":""') + 19 + 32
"""Bytes of a line, without its message, that a schema may drop which does not know our fields."""


class Fitted(NamedTuple):
    """Lines that fit, in the order given; how many did not, and how many of those that did lost their message, or what
    the member reports: its status, or all that is reported."""

    lines: tuple[ClusterStatus, ...]
    left_out: int = 0
    without_message: int = 0
    without_remote: int = 0
    without_report: int = 0


def fit(lines: Sequence[ClusterStatus]) -> Fitted:
    """Write equal messages once, cut long ones, and leave out what exceeds the budget. `lines` are sorted by name."""
    reports = {line.name: line for line in lines if _reports(line)}
    if not reports:
        return _fit_timed(lines)
    fitted = _fit_timed([_bare(line) if line.name in reports else line for line in lines])
    room = TOTAL - _CONDITIONS - _sizes(fitted.lines)
    shown, room = _with_readiness(fitted.lines, reports, room)
    chosen = _remotes([reports[line.name] for line in shown if line.name in reports], room)
    restored = tuple(
        _reported(line, remote=reports[line.name].remote_status) if line.name in chosen else line for line in shown
    )
    return fitted._replace(
        lines=restored,
        without_remote=sum(each.remote_status is not msgspec.UNSET for each in reports.values()) - len(chosen),
        without_report=sum(bool(reports[line.name].ready and not line.ready) for line in shown if line.name in reports),
    )


def _with_readiness(
    lines: Sequence[ClusterStatus], reports: Mapping[str, ClusterStatus], room: int
) -> tuple[Sequence[ClusterStatus], int]:
    """The lines with how much is ready and why a copy is not well; without the reasons, or both, where they do not
    fit. And the room that is left."""
    whole = [_reported(line, reports.get(line.name)) for line in lines]
    for shown in (whole, [_replaced(line, unhealthy="") for line in whole]):
        need = _sizes(shown) - _sizes(lines)
        if need <= room:
            return shown, room - need
    return lines, room


def _remotes(reports: Sequence[ClusterStatus], room: int) -> Set[str]:
    """Clusters whose remoteStatus fits: those that are not well go first, then by name; a large one is passed over."""
    chosen = set()
    for line in sorted(reports, key=lambda each: not each.unhealthy):
        if line.remote_status is msgspec.UNSET:
            continue
        room -= (size := _REMOTE_MEMBER + _escaped(bytes(line.remote_status)))
        if room < 0:
            room += size
        else:
            chosen.add(line.name)
    return chosen


def _reports(line: ClusterStatus) -> bool:
    return bool(line.ready or line.unhealthy) or line.remote_status is not msgspec.UNSET


def _bare(line: ClusterStatus) -> ClusterStatus:
    """The line without what its member reports."""
    return ClusterStatus(line.name, line.status, line.message, line.generation, line.fingerprint, line.since)


def _reported(
    line: ClusterStatus,
    report: ClusterStatus | None = None,
    *,
    remote: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET,
) -> ClusterStatus:
    """The line with the readiness of this `report`, or with this remoteStatus."""
    if report is None and remote is msgspec.UNSET:
        return line
    ready, unhealthy = (line.ready, line.unhealthy) if report is None else (report.ready, report.unhealthy)
    unhealthy = cut(unhealthy, CAPS[1])
    return ClusterStatus(
        line.name, line.status, line.message, line.generation, line.fingerprint, line.since, remote, ready, unhealthy
    )


def _fit_timed(lines: Sequence[ClusterStatus]) -> Fitted:
    times = {line.name: line.since for line in lines if line.since}
    if not times:
        return _fit(lines)
    fitted = _fit([_replaced(line, since="") if line.since else line for line in lines])
    # Whether times fit must not depend on which are known, or what is left out now would change the next answer.
    need = sum(_SINCE for line in fitted.lines if line.status)
    room = TOTAL - _CONDITIONS - need
    if len(lines) * _WORST_LINE > room and _sizes(fitted.lines) > room:
        return fitted
    return fitted._replace(lines=_timed(fitted.lines, times))


def _timed(lines: Sequence[ClusterStatus], times: Mapping[str, str]) -> tuple[ClusterStatus, ...]:
    return tuple(_replaced(line, since=times[line.name]) if line.name in times else line for line in lines)


def _fit(lines: Sequence[ClusterStatus]) -> Fitted:
    room = TOTAL - _CONDITIONS
    for cap in CAPS:
        fitted = _share_messages(lines, cap)
        if len(lines) * _WORST_LINE <= room or _sizes(fitted) <= room:
            return Fitted(tuple(fitted))
    bare = [_replaced(line, message="") for line in lines]
    if _sizes(bare) > room:
        bare = [_replaced(line, fingerprint="") if line.status else line for line in bare]
    examples = _examples(lines)
    for index in examples:
        bare[index] = _replaced(bare[index], message=cut(lines[index].message, CAPS[1]))
    kept, used = _choose(bare, room, examples)
    messages = [line.message for line, keep in zip(lines, kept, strict=True) if keep]
    chosen = [line for line, keep in zip(bare, kept, strict=True) if keep]
    restored = _restore_messages(chosen, messages, room - used)
    return Fitted(tuple(chosen), len(lines) - len(chosen), sum(map(bool, messages)) - restored)


def full(lines: Sequence[ClusterStatus]) -> bool:
    """Whether these stored lines leave no room for one more: others may have been left out. Never False wrongly.

    Messages hardly count: they go before any line does, but for the examples.
    """
    room = TOTAL - _CONDITIONS - _WORST_LINE
    if len(lines) * _WORST_LINE <= room:
        return False
    lines = [_bare(line) if _reports(line) else line for line in lines]
    size = _sizes([_replaced(line, message="") if line.message else line for line in lines])
    size += min(_sizes(lines) - size, _EXAMPLES)
    if not any(line.fingerprint or line.message or line.generation for line in lines):
        size += len(lines) * _DROPPED  # more may have been written than the hub's schema knows (KubeFed's own CRDs)
    return size > room


def cut(text: str, limit: int) -> str:
    """The text, or its beginning and an ellipsis within `limit` characters."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def by_name(lines: Iterable[ClusterStatus]) -> dict[str, ClusterStatus]:
    """Stored lines, as `message_of` needs them: made once for all clusters, of which there may be thousands."""
    return {line.name: line for line in lines}


def message_of(lines: Mapping[str, ClusterStatus], name: str) -> str:
    """The message of one cluster's line as it was before equal messages were written once; `lines` by name."""
    line = lines.get(name)
    if line is None:
        return ""
    first = lines.get(line.message.removeprefix(_REFERENCE)) if line.message.startswith(_REFERENCE) else None
    return first.message if first is not None else line.message


def _share_messages(lines: Sequence[ClusterStatus], cap: int) -> Sequence[ClusterStatus]:
    """Lines with messages cut to `cap`; one that a line above has, too, is replaced by that line's name."""
    if not any(line.message for line in lines):
        return lines
    shown: dict[str, str] = {}
    return [
        _replaced(line, message=_message_or_reference(cut(line.message, cap), line.name, shown))
        if line.message
        else line
        for line in lines
    ]


def _message_or_reference(message: str, name: str, shown: dict[str, str]) -> str:
    first = shown.setdefault(message, name)
    reference = f"{_REFERENCE}{first}"
    return reference if first != name and len(reference) < len(message) else message


def _examples(lines: Sequence[ClusterStatus]) -> set[int]:
    """The first line of each status that has a message: of thousands that fail, a person needs to read one of a kind
    before the names of all.
    """
    found: dict[str, int] = {}
    for index, line in enumerate(lines):
        if line.status and line.message:
            found.setdefault(line.status, index)
    return set(found.values())


def _choose(lines: Sequence[ClusterStatus], room: int, examples: Set[int]) -> tuple[list[bool], int]:
    """Which lines stay, and the bytes they take: failing ones up to half the room, healthy ones (a restart needs their
    fingerprints), failing ones again. `examples` stay, and a line whose fingerprint others share.
    """
    sizes = [_line_size(line) for line in lines]
    kept = [sharing.is_marked(line) or index in examples for index, line in enumerate(lines)]
    used = sum(size for size, keep in zip(sizes, kept, strict=True) if keep)
    for failing, limit in ((True, room // 2), (False, room), (True, room)):
        for index, line in enumerate(lines):
            if not kept[index] and bool(line.status) is failing and used + sizes[index] <= limit:
                kept[index] = True
                used += sizes[index]
    return kept, used


def _restore_messages(lines: list[ClusterStatus], messages: Sequence[str], room: int) -> int:
    """Give lines their messages back from the top until the first that does not fit; returns how many have theirs."""
    shown = {line.message: line.name for line in lines if line.message}
    count = sum(bool(line.message) for line in lines)
    for index, line in enumerate(lines):
        if not messages[index] or line.message:
            continue
        message = _message_or_reference(cut(messages[index], CAPS[1]), line.name, shown)
        room -= _size(message) + _MESSAGE_MEMBER
        if room < 0:
            break
        lines[index] = _replaced(line, message=message)
        count += 1
    return count


def _replaced(
    line: ClusterStatus,
    *,
    message: str | None = None,
    fingerprint: str | None = None,
    since: str | None = None,
    unhealthy: str | None = None,
) -> ClusterStatus:
    """The line with other texts; built by hand because this runs thousands of times when it runs."""
    return ClusterStatus(
        line.name,
        line.status,
        line.message if message is None else message,
        line.generation,
        line.fingerprint if fingerprint is None else fingerprint,
        line.since if since is None else since,
        line.remote_status,
        line.ready,
        line.unhealthy if unhealthy is None else unhealthy,
    )


def _sizes(lines: Sequence[ClusterStatus]) -> int:
    """Bytes of all lines, as `_line_size` counts them; encoding them at once takes a tenth of the time."""
    return _size(lines) - 1 if lines else 0


def _line_size(line: ClusterStatus) -> int:
    """Bytes of the line and its comma."""
    return _size(line) + 1


def _size(value: ClusterStatus | Sequence[ClusterStatus] | str) -> int:
    """Bytes that the API server takes for it: its JSON, made to stand in HTML, has `<`, `>` and `&` as six bytes each
    (`\\u003c`), and so the two line separators of Unicode. A thousand messages full of `<nil>` are a third more.
    """
    return _escaped(msgspec.json.encode(value))


def _escaped(encoded: bytes) -> int:
    escaped = encoded.count(b"<") + encoded.count(b">") + encoded.count(b"&")
    separators = encoded.count(b"\xe2\x80\xa8") + encoded.count(b"\xe2\x80\xa9")
    return len(encoded) + 5 * escaped + 3 * separators
