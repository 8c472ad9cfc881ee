"""Decisions about replicas over random lives of a fleet: clusters come and go, are drained and cordoned, users edit."""

from dataclasses import dataclass, field, replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from federation.core import scheduling
from federation.core.scheduling import Decision, State
from federation.model.preferences import EVERY, Bounds, Place, Preference, Shown, Standing

NAMES = ("a", "b", "c", "d")
AFTER = 300.0


@dataclass
class Member:
    """A cluster as it is. `runs` are its ready replicas, `told` what it was told last."""

    answers: bool = True
    cordoned: bool = False
    draining: bool = False
    silent: float = 0.0
    told: int = 0
    runs: int = 0


@dataclass
class Hub:
    """What the federated object asks for, and the status of the preference."""

    numbers: dict[str, int] = field(default_factory=dict)
    written: dict[str, int] = field(default_factory=dict)


def bounds() -> st.SearchStrategy[Bounds]:
    return st.builds(
        lambda least, more, weight: Bounds(least, None if more is None else least + more, weight),
        st.integers(0, 3),
        st.none() | st.integers(0, 8),
        st.integers(0, 3),
    )


class Life(RuleBasedStateMachine):
    """Everything that happens is followed by a decision, and its numbers are written."""

    @initialize(total=st.integers(0, 20), every=bounds(), rebalance=st.booleans(), failover=st.booleans())
    def begin(self, total: int, every: Bounds, rebalance: bool, failover: bool) -> None:
        self.members = {name: Member() for name in NAMES}
        self.hub = Hub()
        self.wish = Preference(
            "FederatedDeployment", total, {EVERY: every}, rebalance, failover=AFTER if failover else None
        )
        self.edited = True
        self.last: Decision | None = None
        self.decide()

    # --- what happens

    @rule(total=st.integers(0, 20))
    def scale(self, total: int) -> None:
        self.wish = replace(self.wish, total=total)
        self.edited = True
        self.decide()

    @rule(name=st.sampled_from((*NAMES, EVERY)), one=bounds())
    def prefer(self, name: str, one: Bounds) -> None:
        self.wish = replace(self.wish, clusters={**self.wish.clusters, name: one})
        self.edited = True
        self.decide()

    @rule(name=st.sampled_from(NAMES))
    def fall_silent(self, name: str) -> None:
        self.members[name].answers = False
        self.members[name].silent = 1.0
        self.decide()

    @rule(name=st.sampled_from(NAMES))
    def come_back(self, name: str) -> None:
        self.members[name].answers = True
        self.members[name].silent = 0.0
        self.decide()

    @rule()
    def time_passes(self) -> None:
        for member in self.members.values():
            if not member.answers:
                member.silent += AFTER
        self.decide()

    @rule(name=st.sampled_from(NAMES))
    def cordon_or_not(self, name: str) -> None:
        self.members[name].cordoned = not self.members[name].cordoned
        self.decide()

    @rule(name=st.sampled_from(NAMES))
    def drain_or_not(self, name: str) -> None:
        self.members[name].draining = not self.members[name].draining
        self.edited = True
        self.decide()

    @rule(name=st.sampled_from(NAMES), share=st.integers(0, 4))
    def run_some(self, name: str, share: int) -> None:
        member = self.members[name]
        if member.answers:
            member.runs = member.told * share // 4
        self.decide()

    @rule()
    def lose_the_status(self) -> None:
        self.hub.written = {}
        self.edited = True
        self.decide()

    # --- what is decided

    def places(self) -> list[Place]:
        found = []
        for name, member in self.members.items():
            number = self.hub.numbers.get(name, 0)
            silent = not member.answers
            standing = Standing.SILENT if silent else Standing.CORDONED if member.cordoned else Standing.ANSWERS
            shown = Shown(member.told, member.runs) if standing is Standing.ANSWERS else None
            found.append(
                Place(
                    name,
                    self.wish.bounds(name),
                    number,
                    scheduled=self.hub.written.get(name) == number and name in self.hub.numbers,
                    runs=member.runs,
                    standing=standing,
                    silent_for=member.silent,
                    draining=member.draining,
                    shown=shown,
                )
            )
        return found

    def decide(self) -> None:
        self.before = dict(self.hub.numbers)
        places = self.places()
        decision = scheduling.decide(self.wish, places, "ns/web")
        assert decision.numbers is not None
        self.decided = {place.name: place for place in places}
        self.last = decision
        self.hub.numbers = dict(decision.numbers)
        self.hub.written = dict(decision.numbers)
        for name, member in self.members.items():
            if member.answers and not member.cordoned:
                member.told = decision.numbers[name]
                member.runs = min(member.runs, member.told)
        self.was_edited, self.edited = self.edited, False

    # --- what holds

    @invariant()
    def nothing_is_below_zero_and_all_have_a_number(self) -> None:
        assert self.hub.numbers.keys() == set(NAMES)
        assert all(number >= 0 for number in self.hub.numbers.values())

    @invariant()
    def the_sum_is_the_total_or_what_stays_beside_it(self) -> None:
        assert self.last is not None
        total = sum(self.hub.numbers.values())
        if self.last.state is State.MOVING:
            leaving = sum(n for name, n in self.hub.numbers.items() if self._leaves(name))
            assert total - leaving <= self.wish.total
        else:
            assert total <= self.wish.total
        if self.last.state is State.SCHEDULED:
            assert total == self.wish.total

    @invariant()
    def maxima_hold_but_where_replicas_are_leaving(self) -> None:
        for name, number in self.hub.numbers.items():
            one = self.wish.bounds(name)
            if one is not None and one.most is not None and not self._leaves(name):
                assert number <= one.most

    @invariant()
    def who_cannot_be_asked_gets_no_more(self) -> None:
        for name, place in self.decided.items():
            if place.standing is not Standing.ANSWERS:
                assert self.hub.numbers[name] <= self.before.get(name, 0)

    @invariant()
    def who_cannot_be_asked_keeps_what_it_has(self) -> None:
        """Unless somebody has edited something, or failover and drain let it go: then others are ready in its place."""
        if self.was_edited or sum(self.before.values()) > self.wish.total:
            return
        for name, place in self.decided.items():
            if place.standing is Standing.ANSWERS or self.hub.numbers[name] == self.before.get(name, 0):
                continue
            assert self._leaves(name), f"{name} has lost replicas"
            assert all(
                other.shown is not None and other.shown.ready >= self.hub.numbers[other.name]
                for other in self.decided.values()
                if other.standing is Standing.ANSWERS and not other.draining
            )

    @invariant()
    def deciding_again_changes_nothing(self) -> None:
        again = scheduling.decide(self.wish, self.places(), "ns/web")
        leaves = any(self._leaves(name) for name in NAMES)
        if not leaves:
            assert again.numbers == self.hub.numbers

    def _leaves(self, name: str) -> bool:
        member = self.members[name]
        silent = not member.answers and self.wish.failover is not None and member.silent >= AFTER
        return member.draining or silent


Life.TestCase.settings = settings(max_examples=60, stateful_step_count=12, deadline=None)
TestLife = Life.TestCase
