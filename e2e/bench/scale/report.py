"""The table of one scale run: ours beside the bare client of the same run and beside KubeFed's published row."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from rich.console import Console
from rich.table import Table

KUBEFED = Path(__file__).with_name("kubefed.json")
PHASES = ("create", "update", "delete")
Results = Mapping[str, Any]


class Row(NamedTuple):
    """One figure. `multiple`: of the bare client in the same run, in pull mode of push in it. KubeFed's: of its bare
    client."""

    name: str
    ours: float
    multiple: float | None = None
    kubefed: float | None = None
    kubefed_multiple: float | None = None


def kubefed(members: int) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """KubeFed's file, and its last row for so many members ({}: none)."""
    known: Mapping[str, Any] = orjson.loads(KUBEFED.read_bytes())
    fitting = [row for row in known["rows"] if row["members"] == members]
    return known, fitting[-1] if fitting else {}


def rows(results: Results, peer: Mapping[str, Any]) -> Iterator[Row]:
    """Every figure of the table, in its order."""
    if "join" in results:
        found = results["join"]
        yield Row("all Ready after the last join, s", found["ready_after_last_join_s"], kubefed=peer.get("ready_s"))
        yield Row("controller CPU per join, ms", round(found["controller_cpu_s"] * 1e3 / found["members"], 1))
    if "first" in results:
        yield Row("first object of a type, last member, ms", results["first"]["last_ms"], kubefed=peer.get("first_ms"))
    for what, found in results.get("singles", {}).items():
        other = peer.get("single_create_ms") if what == "create" else None
        bare = results.get("bare", {}).get("single") if what == "update" else None
        multiple = round(found["last_ms"] / bare["last_ms"], 2) if bare else None
        yield Row(f"one object {what}d, last member, ms", found["last_ms"], multiple, kubefed=other)
    for phase in PHASES:
        if phase in results:
            yield from _bulk(phase, results, peer)
    if "idle" in results:
        other = peer.get("idle", {})
        for whose in ("controller", "host"):
            figure = f"{whose}_ms_per_s"
            yield Row(f"idle: {whose} CPU, ms per s", results["idle"][figure], kubefed=other.get(figure))
        yield Row("idle: members' CPU, ms per s", results["idle"]["members_ms_per_s"])
    if "scrape" in results:
        yield Row("one scrape of /metrics, ms of controller CPU", results["scrape"]["controller_cpu_ms"])
        yield Row("one scrape of /metrics, kB", round(results["scrape"]["bytes"] / 1e3))
    if "restart" in results:
        found = results["restart"]
        change = found["a_users_change"]["last_ms"]
        yield Row("restart: a user's change, last member, ms", change, kubefed=peer.get("restart_change_ms"))
        yield Row("restart: writes of other objects", found["writes_of_other_objects"], kubefed=0 if peer else None)
    if "hang" in results:
        yield Row("one member hangs: one object at the others before, ms", results["hang"]["before_ms"])
        yield Row("one member hangs: one object at the others during, worst, ms", max(results["hang"]["during_ms"]))
    if "away" in results:
        found = results["away"]
        yield Row("one member away and back: one object at the others before, ms", found["before_ms"])
        yield Row("one member away and back: the same, worst, ms", max(*found["away_ms"], *found["back_ms"]))
        yield Row("one member away and back: controller CPU, ms per s", found["controller_ms_per_s"])
        yield Row("one member away and back: writes of KubeFedClusters each time", found["cluster_writes_per_time"])
    if "flap" in results:
        yield Row("an unrelated label changes: controller CPU, ms", results["flap"]["controller_ms_per_change"])
    yield from _peaks(results, peer)
    yield from _pull(results.get("pull", {}), results)


def _pull(pull: Results, push: Results) -> Iterator[Row]:
    """In pull mode; a multiple is of push in the same run."""
    if not pull:
        return
    for what, found in pull["singles"].items():
        beside = push.get("singles", {}).get(what, {}).get("last_ms")
        yield Row(f"pull: one object {what}d, last member, ms", found["last_ms"], _ratio(found["last_ms"], beside))
    for phase in PHASES:
        found = pull[phase]
        yield Row(f"pull: {phase}: an agent's CPU, ms per placement", found["agents_ms_per_placement"])
        for figure, name in (
            ("controller_ms_per_placement", "controller CPU, ms per placement"),
            ("host_ms_per_object", "host API server CPU, ms per object"),
            ("host_writes_per_object", "host writes per object"),
            ("members_ms_per_placement", "members' CPU, ms per placement"),
            ("placements_per_s", "placements per s"),
        ):
            multiple = _ratio(found[figure], push.get(phase, {}).get(figure))
            yield Row(f"pull: {phase}: {name}", found[figure], multiple)
    yield Row("pull: idle: all agents' CPU, ms per s", pull["idle"]["agents_ms_per_s"])
    yield Row("pull: idle: host CPU, ms per s", pull["idle"]["host_ms_per_s"])
    yield Row("pull: memory of the process of all agents, highest, MB", max(pull[each]["agents_mb"] for each in PHASES))


def _peaks(results: Results, peer: Mapping[str, Any]) -> Iterator[Row]:
    if peak := memory(results):
        yield Row("controller memory, highest, MB", max(peak), kubefed=peer.get("controller_mb"))
    if late := results.get("late_ms"):
        yield Row("controller's event loop late, longest, ms", max(late.values()))


def memory(results: Results) -> list[float]:
    """The controller's resident memory at the end of each phase, in their order, in MB."""
    return [
        found["controller_mb"] for found in results.values() if isinstance(found, Mapping) and "controller_mb" in found
    ]


def times_bare(phase: str, results: Results) -> float | None:
    """Controller CPU per placement as a multiple of the bare client's in the same run."""
    return _ratio(results.get(phase, {}).get("controller_ms_per_placement"), bare_ms(phase, results))


def bare_ms(phase: str, results: Results) -> float | None:
    """CPU of the bare client per write."""
    found: float | None = results.get("bare", {}).get(phase, {}).get("client_ms")
    return found


def kubefed_times_bare(phase: str, peer: Mapping[str, Any]) -> float | None:
    """KubeFed's CPU per placement as a multiple of the bare client's on the same machine."""
    their_bare = (peer.get("bare_client_ms") or {}).get(phase)
    return _ratio(peer.get(phase, {}).get("controller_ms_per_placement"), their_bare)


def _ratio(value: float | None, of: float | None) -> float | None:
    return None if value is None or not of else round(value / of, 2)


def _bulk(phase: str, results: Results, peer: Mapping[str, Any]) -> Iterator[Row]:
    found, bare = results[phase], results.get("bare", {}).get(phase, {})
    other = peer.get(phase, {})
    yield Row(
        f"{phase}: controller CPU, ms per placement",
        found["controller_ms_per_placement"],
        times_bare(phase, results),
        other.get("controller_ms_per_placement"),
        kubefed_times_bare(phase, peer),
    )
    if len(each := found.get("controllers_ms_per_placement", ())) > 1:
        yield Row(f"{phase}: CPU of the busiest controller process, ms per placement of all", max(each))
    yield Row(
        f"{phase}: members' CPU, ms per placement",
        found["members_ms_per_placement"],
        round(found["members_ms_per_placement"] / bare["members_ms"], 2) if bare else None,
        other.get("members_ms_per_placement"),
    )
    yield Row(
        f"{phase}: host API server CPU, ms per object",
        found["host_ms_per_object"],
        kubefed=other.get("host_ms_per_object"),
    )
    yield Row(f"{phase}: host writes per object", found["host_writes_per_object"])
    yield Row(f"{phase}: placements per s", found["placements_per_s"])


def show(results: Results, console: Console) -> None:
    """Print the table."""
    members, objects = results["members"], results["objects"]
    known, peer = kubefed(members)
    table = Table(title=f"{objects} objects on {members} simulated members", title_justify="left")
    table.add_column("figure")
    for name in ("ours", "x bare", "KubeFed", "x its bare"):
        table.add_column(name, justify="right")
    for row in rows(results, peer):
        table.add_row(row.name, *(_number(each) for each in row[1:]))
    console.print(table)
    where = f"; its row is of machine {peer['machine']}: {known['machines'][peer['machine']]}" if peer else ""
    console.print(f"x bare: multiple of the bare client's CPU. {known['about']}{where}", style="dim")


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
