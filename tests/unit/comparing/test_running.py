"""The steps of a run, its journal, and how a run goes on: without clusters."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from federation.comparing import journal, model, running, sampling, scenarios
from federation.comparing.journal import Bare, Began, Journal
from federation.comparing.model import Ended, Machine, Sample, Settings, State, Step
from federation.comparing.progress import Progress
from federation.comparing.scenario import Ground, Measured
from federation.comparing.scenarios import SCENARIOS
from federation.model.errors import Invalid

MACHINE = Machine(identity="1234", processor="x", cores=2, memory_mb=1000, kernel="Linux")
QUICK = Settings(scale="quick", scenarios=("hub-load",), subjects=("push", "pull"), rounds=2, seed=7)


def began(**other: Any) -> Began:
    how: dict[str, Any] = {
        "machine": MACHINE,
        "settings": QUICK,
        "versions": {"project": "1"},
        "began": "2026-01-01T00:00:00Z",
    }
    return Began(**({"began": "2026-01-01T00:00:00Z"} | how | other))


def ended(step: Step, state: State = State.DONE) -> Ended:
    sample = Sample(scenario=step.scenario, subject=step.subject, round=step.round, figure="hub_cpu", values=(1.0, 2.5))
    return Ended(step=step, state=state, began="2026-01-01T00:00:01Z", seconds=3.0, samples=(sample,))


# --- steps -----------------------------------------------------------------------------------------------------------


def test_rounds_take_turns_between_subjects() -> None:
    steps = running.order(QUICK)
    assert [(step.subject, step.round) for step in steps] == [("push", 1), ("pull", 1), ("push", 2), ("pull", 2)]
    assert {step.at["members"] for step in steps} == {2}


def test_a_place_is_measured_for_all_before_the_next_one() -> None:
    steps = sampling.in_turn("growth", QUICK, [{"members": 1}, {"members": 2}])
    order = [(step.at["members"], step.round, step.subject) for step in steps]
    assert order == [(n, turn, subject) for n in (1, 2) for turn in (1, 2) for subject in ("push", "pull")]


@pytest.mark.parametrize(
    ("name", "scale"),
    [(name, scale) for name in SCENARIOS for scale in ("quick", "full") if (name, scale) != ("bend", "quick")],
)
def test_every_scenario_gives_each_subject_the_same_steps(name: str, scale: str) -> None:
    settings = msgspec.structs.replace(QUICK, scale=scale, scenarios=(name,))
    steps = running.order(settings)
    assert steps == running.order(settings)
    assert len(set(map(repr, steps))) == len(steps)
    assert {step.scenario for step in steps} == {name}

    def of(subject: str) -> list[tuple[int, dict[str, Any]]]:
        return [(step.round, dict(step.at)) for step in steps if step.subject == subject]

    assert of("push") == of("pull") != []
    assert all(SCENARIOS[name].estimate(settings, step) > 0 for step in steps)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"scenarios": ("nothing",)}, "--scenario: there is no nothing; there are .*hub-load"),
        (
            {"subjects": ("push", "carrier-pigeon")},
            "--modes: carrier-pigeon cannot be started; there are push, pull, pull-bundled",
        ),
        ({"rounds": 0}, "--rounds: must be 1 or more"),
        ({"members": 0}, "--members: must be 1 or more"),
    ],
)
def test_settings_that_cannot_be_run(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(Invalid, match=says):
        running.checked(msgspec.structs.replace(QUICK, **changed))


# --- the journal -----------------------------------------------------------------------------------------------------


def test_what_has_ended_is_on_the_disk_at_once_and_is_not_done_again(tmp_path: Path) -> None:
    steps = running.order(QUICK)
    written = Journal.open(tmp_path, began())
    assert written.left(steps) == steps
    written.end(ended(steps[0]))
    written.end(ended(steps[1], State.FAILED))
    written.measured(Bare(bare_ms={"create": (0.5,)}, servers={"etcd": "3.6"}))
    again = Journal.open(tmp_path, began(began="2026-02-02T00:00:00Z"))
    assert again.left(steps) == steps[1:]  # one that failed is tried again
    again.measured(Bare(bare_ms={"create": (0.7,), "delete": (0.1,)}))
    run = again.run(steps, "")
    assert run.began == "2026-01-01T00:00:00Z"
    assert run.bare_ms == {"create": (0.5, 0.7), "delete": (0.1,)}
    assert run.versions == {"project": "1", "etcd": "3.6"}
    assert [each.state for each in run.steps] == [State.DONE, State.FAILED]
    assert run.steps[0].samples[0].values == (1.0, 2.5)


def test_the_last_of_two_ends_counts(tmp_path: Path) -> None:
    steps = running.order(QUICK)
    written = Journal.open(tmp_path, began())
    written.end(ended(steps[0], State.FAILED))
    written.end(ended(steps[0]))
    assert Journal.open(tmp_path, began()).left(steps) == steps[1:]
    assert [each.state for each in written.run(steps, "").steps] == [State.DONE]


def test_a_torn_last_line_is_cut_off(tmp_path: Path) -> None:
    steps = running.order(QUICK)
    written = Journal.open(tmp_path, began())
    written.end(ended(steps[0]))
    path = tmp_path / journal.JOURNAL
    whole = path.read_bytes()
    for torn in (b'{"ended":{"step":{"scen', b"{"):
        path.write_bytes(whole + torn)
        again = Journal.open(tmp_path, began())
        assert path.read_bytes() == whole
        assert again.left(steps) == steps[1:]
    again.end(ended(steps[1]))
    assert Journal.open(tmp_path, began()).left(steps) == steps[2:]


def test_a_first_line_that_is_torn_is_a_run_that_never_began(tmp_path: Path) -> None:
    (tmp_path / journal.JOURNAL).write_bytes(b'{"began":{"mach')
    assert Journal.open(tmp_path, began()).left(running.order(QUICK)) == running.order(QUICK)


def test_a_line_that_is_wrong_is_named(tmp_path: Path) -> None:
    written = Journal.open(tmp_path, began())
    written.end(ended(running.order(QUICK)[0]))
    path = tmp_path / journal.JOURNAL
    path.write_bytes(path.read_bytes().replace(b'"rounds":2', b'"rounds":"two"'))
    with pytest.raises(Invalid, match=r"journal\.jsonl:1: is no line of a comparison's journal"):
        Journal.open(tmp_path, began())


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (
            {"settings": msgspec.structs.replace(QUICK, seed=8, rounds=3)},
            r"other settings \(rounds was 2, is 3; seed was 7, is 8\): choose another directory",
        ),
        ({"machine": msgspec.structs.replace(MACHINE, identity="5678")}, "another machine"),
        ({"versions": {"project": "2"}}, r"other versions \(project\)"),
    ],
)
def test_a_directory_of_another_run_is_left_alone(tmp_path: Path, other: dict[str, Any], says: str) -> None:
    Journal.open(tmp_path, began()).end(ended(running.order(QUICK)[0]))
    before = (tmp_path / journal.JOURNAL).read_bytes()
    with pytest.raises(Invalid, match=says):
        Journal.open(tmp_path, began(**other))
    assert (tmp_path / journal.JOURNAL).read_bytes() == before


# --- a run -----------------------------------------------------------------------------------------------------------


class Pretended:
    """Measures nothing; steps of `fails` raise, and a step of `stops` ends the program."""

    name = "hub-load"

    def __init__(self, fails: Sequence[int] = (), stops: int | None = None) -> None:
        self.done: list[Step] = []
        self._fails, self._stops = fails, stops

    def steps(self, settings: Settings) -> Sequence[Step]:
        return sampling.in_turn(self.name, settings, [{"members": 2}])

    def estimate(self, settings: Settings, step: Step) -> float:
        return 10.0

    async def run(self, ground: Ground, settings: Settings, step: Step) -> Measured:
        number = len(self.done)
        self.done.append(step)
        if number == self._stops:
            raise KeyboardInterrupt
        if number in self._fails:
            raise ExceptionGroup("several", [TimeoutError("2 not seen within 300 s"), ValueError("later")])
        return sampling.samples(step, {"hub_cpu": float(number)}, phase="create"), ()


@pytest.fixture
def nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    async def bare(*_: Any) -> None:
        """No bare client."""

    monkeypatch.setattr(running, "_bare", bare)


async def run_with(pretended: Pretended, directory: Path, monkeypatch: pytest.MonkeyPatch) -> model.Run:
    monkeypatch.setitem(scenarios.SCENARIOS, "hub-load", pretended)
    with Progress() as progress:
        return await running.run(directory, QUICK, progress)


@pytest.mark.usefixtures("nothing_is_started")
async def test_a_step_that_fails_is_recorded_and_does_not_end_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = await run_with(Pretended(fails=[1]), tmp_path, monkeypatch)
    assert [each.state for each in run.steps] == ["done", "failed", "done", "done"]
    assert run.steps[1].why == "2 not seen within 300 s"
    assert run.ended
    assert model.decode((tmp_path / "run.json").read_bytes()) == run
    told = capsys.readouterr().err
    assert "2/4 hub-load: pull, 2 members, round 1" in told
    assert "hub-load: pull, 2 members, round 1: failed: 2 not seen within 300 s" in told
    assert "create: hub_cpu 3 ms/object" in told


@pytest.mark.usefixtures("nothing_is_started")
async def test_a_run_that_is_stopped_leaves_what_it_has_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(KeyboardInterrupt):
        await run_with(Pretended(stops=2), tmp_path, monkeypatch)
    left = model.decode((tmp_path / "run.json").read_bytes())
    assert len(left.steps) == 2
    assert left.ended == ""
    second = Pretended()
    run = await run_with(second, tmp_path, monkeypatch)
    assert second.done == running.order(QUICK)[2:]
    assert len(run.steps) == 4
    assert run.steps[:2] == left.steps
    third = Pretended()
    assert (await run_with(third, tmp_path, monkeypatch)).steps == run.steps
    assert third.done == []
