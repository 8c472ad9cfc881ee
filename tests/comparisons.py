"""Invented raw data of comparisons, in which one knows who wins.

`run(costs={"push": 2, "pull": 1})` has every scenario, and in all of them push costs twice as much, is half as good,
and bends at half as many members.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from federation.comparing import contract, model
from federation.comparing.claims import SCENARIOS
from federation.comparing.contract import Application, Command, Credential, Fault, How, Lies, Right, Share, Upgrade
from federation.comparing.figures import FIGURES
from federation.comparing.model import Ended, Finding, Machine, Place, Run, Sample, Settings, State, Step

ALL = tuple(claim.scenario for claim in SCENARIOS)
ROUNDS = 3
SIZES = (10, 30, 100, 300, 1000)
"""Of the fleets in which growth and bends are measured."""
TRIALS = 20
"""Of a latency in each round."""
FAULTS = 12

EQUAL = {"push": 1.0, "pull": 1.0}
PUSH_WINS = {"push": 1.0, "pull": 2.0}
PULL_WINS = {"push": 2.0, "pull": 1.0}


def run(
    costs: Mapping[str, float] = EQUAL,
    *,
    spread: float = 0.02,
    scenarios: Sequence[str] = ALL,
    rounds: int = ROUNDS,
    machine: str = "here",
    factor: float = 1.0,
    bends: Mapping[str, float] | None = None,
    steps: Sequence[Ended] = (),
    bare: bool = True,
) -> Run:
    """A run of the subjects in `costs`. The rounds of a figure are apart by `spread` of it to either side; `factor` is
    how slow the machine is; `bends` are the members beyond which a subject's cost grows with their cube."""
    bends = bends or {subject: 400 / cost for subject, cost in costs.items()}
    ended = [
        _ended(scenario, subject, number, at, (costs[subject], spread, factor, bends[subject]))
        for scenario in scenarios
        for number in range(1, rounds + 1)
        for at in _PLACES.get(scenario, ({},))
        for subject in costs
    ]
    return Run(
        machine=Machine(identity=machine, processor="an invented one", cores=2, memory_mb=8192, kernel="Linux 6.1"),
        versions={"federation": "0.3.0", "kube-apiserver": "1.36.3", "etcd": "3.6.16", "python": "3.11"},
        settings=Settings(
            scale="full",
            scenarios=tuple(scenarios),
            subjects=tuple(costs),
            rounds=rounds,
            seed=7,
            members=8,
            objects=100,
        ),
        began="2026-12-01T10:00:00Z",
        ended="2026-12-01T10:40:00Z",
        bare_ms={phase: tuple(0.4 * factor for _ in range(rounds)) for phase in _CHANGES} if bare else {},
        steps=(*ended, *steps),
    )


def parsed(run: Run) -> Any:
    """The raw data as JSON says it, for those who compute by themselves."""
    return json.loads(model.encode(run))


_CHANGES = ("create", "update", "delete")
_PHASES: tuple[Place, ...] = tuple({"members": 8, "phase": phase} for phase in (*_CHANGES, "rest"))
_GROWTH: tuple[Place, ...] = tuple(
    {"kind": kind, "members": size, "phase": phase}
    for kind, sizes in (("real", (1, 2, 5)), ("simulated", SIZES))
    for size in sizes
    for phase in ("create", "update", "rest")
)
_FLEETS: tuple[Place, ...] = tuple(
    {"members": size, "phase": phase} for size in SIZES for phase in ("create", "update", "rest")
)
_PLACES: Mapping[str, Sequence[Place]] = {
    "joining": ({"clusters": 1, "objects": 100}, {"clusters": 11, "objects": 100}),
    "hub-load": _PHASES,
    "growth": _GROWTH,
    "twins": tuple({"members": size} for size in (1, 2, 8)),
    "cut": ({"cut": "link"}, {"cut": "hub"}),
    "bend": _FLEETS,
    "distance": tuple({"rtt_ms": rtt, "loss_percent": loss, "hangs": 0} for rtt in (0, 50, 200) for loss in (0, 1)),
}

_BASE = {
    "latency": 20.0,
    "member_latency": 15.0,
    "hub_cpu": 15.0,
    "controller_cpu": 4.0,
    "hub_stored": 3600.0,
    "hub_keys": 2.0,
    "hub_memory": 350.0,
    "controller_memory": 90.0,
    "commands": 2.0,
    "repaired": 0.5,
    "lost": 2.0,
    "twice": 2.0,
    "rate": 60.0,
    "core_full": 55.0,
}
_Facts = tuple[float, float, float, float]


def _ended(scenario: str, subject: str, number: int, at: Place, facts: _Facts) -> Ended:
    step = Step(scenario=scenario, subject=subject, round=number, at=at)
    return Ended(
        step=step,
        state=State.DONE,
        began="2026-12-01T10:00:00Z",
        seconds=10.0,
        samples=tuple(_samples(step, facts)),
        findings=tuple(_findings(step, facts[0])),
    )


def _samples(step: Step, facts: _Facts) -> Iterator[Sample]:
    for gives in contract.GIVES:
        if gives.scenario == step.scenario and set(gives.at) <= set(step.at):
            at = {key: step.at[key] for key in gives.at}
            for name in gives.figures:
                if _rests(name) == (step.at.get("phase") == "rest") and not (name.startswith("agent") and _push(step)):
                    yield Sample(
                        scenario=step.scenario,
                        subject=step.subject,
                        round=step.round,
                        figure=name,
                        values=tuple(_values(name, step, facts)),
                        at=at,
                    )


def _push(step: Step) -> bool:
    return step.subject == "push"


def _rests(name: str) -> bool:
    return name.endswith(("_rest", "_memory", "_watches"))


def _values(name: str, step: Step, facts: _Facts) -> Iterator[float]:
    cost, spread, factor, bend = facts
    figure = FIGURES[name]
    value = _BASE.get(name, 10.0) * (cost if figure.less_is_better else 1 / cost)
    if "members" in step.at and step.scenario in ("growth", "bend"):
        members = float(step.at["members"])
        value *= members / 10 * (max(1.0, members / bend) ** 2 if step.scenario == "bend" else 1.0)
    if figure.varies and figure.unit != "MB":
        value *= factor if figure.less_is_better else 1 / factor
    value *= 1 + spread * (0, -1, 1)[(step.round - 1) % 3]
    trials = TRIALS if name in ("latency", "member_latency") else 1
    yield from (value * (1 + 0.2 * trial / TRIALS) for trial in range(trials))


def _findings(step: Step, cost: float) -> Iterator[Finding]:
    for row in _ROWS.get(step.scenario, lambda _step, _cost: ())(step, cost):
        yield contract.found(step, row)


def _upgrades(_step: Step, cost: float) -> Iterator[contract.Row]:
    for name in range(6):
        broke = name + 1 <= 2 * cost
        yield Upgrade(
            step=f"step {name}", broke=broke, seconds=5.0 * broke, hub_says="VersionUnavailable" if name else ""
        )


def _faults(_step: Step, cost: float) -> Iterator[contract.Row]:
    for name in range(FAULTS):
        shown = name < 8 / cost
        yield Fault(
            fault=f"fault {name}",
            shown=shown,
            where="status of the federated object" if shown else "",
            seconds=3.0 * cost if shown else None,
            commands=1 if shown else None,
            says="ProbeFailed <b>not bold</b>" if shown else "",
        )


def _credentials(_step: Step, cost: float) -> Iterator[contract.Row]:
    for number in range(round(4 * cost)):
        yield Credential(
            name=f"token of m{number}",
            lies=Lies.HUB,
            where=f"Secret kube-federation-system/m{number}",
            opens=f"m{number}",
            how=How.DIRECTLY,
            valid_days=None,
            writes=True,
            can="create, update and delete what is federated",
        )


def _rights(_step: Step, _cost: float) -> Iterator[contract.Row]:
    yield Command(side="host", command="fedctl join m1", carries="")
    yield Right(side="host", who="a person", may="create kubefedclusters")


def _shares(step: Step, _cost: float) -> Iterator[contract.Row]:
    yield Share(process="controller" if _push(step) else "hub API server", part="JSON", percent=31.5)


def _applications(step: Step, cost: float) -> Iterator[contract.Row]:
    works = 0.0 if _push(step) else cost * float(step.at["members"])
    yield Application(objects=4, federated_objects=4, works=works, plain_keys=4, plain_bytes=2400)


_ROWS: Mapping[str, Any] = {
    "twins": _applications,
    "versions": _upgrades,
    "trouble": _faults,
    "credentials": _credentials,
    "joining": _rights,
    "bend": _shares,
}
