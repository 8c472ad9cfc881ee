"""The ninth claim: whether pull manages ten times as many clusters. Pure.

A subject manages as many members as it serves before it bends (`growth.bend`): from there on either the latency to the
last member, or the time until all is done, grows faster than the members do.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from federation.comparing import growth, verdicts
from federation.comparing.claims import Claim
from federation.comparing.differences import Threshold
from federation.comparing.summary import Measured, Summary
from federation.comparing.verdicts import Verdict, Word

TEN = Threshold("members of pull for each of push", 10.0, "the claim's own number")
COSTS = (("latency", "p50"), ("done", ""))


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a subject gets."""

    subject: str
    manages: float
    """Members: the largest measured size below the bend."""
    bent: float | None
    """The size at which it was seen to have bent; None if it never was."""
    by: Measured | None = None
    """What bent, at that size."""

    @property
    def says(self) -> str:
        """As "bends between 100 and 300 members"."""
        if self.bent is None:
            return f"has not bent at {self.manages:,.0f} members"
        return f"bends between {self.manages:,.0f} and {self.bent:,.0f} members"


def reach(measured: Sequence[Measured], subject: str) -> Reach | None:
    """Of one subject; None where fewer sizes were measured than a bend needs."""
    mine = [each for each in measured if each.key.subject == subject and "members" in each.key.where]
    found: Reach | None = None
    for figure, part in COSTS:
        of_figure = [each for each in mine if (each.key.figure, each.key.part) == (figure, part)]
        for line in growth.lines(of_figure).values():
            one = _of_line(subject, line)
            if one and (found is None or _earlier(one, found)):
                found = one
    return found


def decide(summary: Summary, claim: Claim) -> Verdict:
    """By the members that each manages. What has not bent manages its largest size at least: that decides, or nothing
    does."""
    reaches = reached(summary)
    push = next((one for one in reaches if one.subject == "push"), None)
    pulls = [one for one in reaches if one.subject in verdicts.PULLS]
    if not push or not pulls:
        return Verdict(claim, Word.UNKNOWN, why_not=verdicts.why_not(summary, claim.scenario))
    words = {one.subject: _word(push, one) for one in pulls}
    known = {word for word in words.values() if word is not Word.UNKNOWN}
    if not known:
        says = "; ".join(f"{one.subject} {one.says}" for one in (push, *pulls))
        return Verdict(claim, Word.UNKNOWN, why_not=f"the sizes do not reach far enough: {says}")
    if known == {Word.DEPENDS} or len(known) > 1:
        return Verdict(claim, Word.DEPENDS, on=_on(words))
    return Verdict(claim, known.pop())


def reached(summary: Summary) -> list[Reach]:
    """Of every subject on the machine of push; empty if nothing was measured."""
    pushes = verdicts.of_push(summary, "bend")
    machine = pushes[0].key.machine if pushes else summary.machine
    measured = [each for key, each in summary.measured.items() if (key.scenario, key.machine) == ("bend", machine)]
    found = [reach(measured, subject) for subject in dict.fromkeys(each.key.subject for each in measured)]
    return [one for one in found if one]


def _of_line(subject: str, line: Sequence[Measured]) -> Reach | None:
    sizes = growth.sizes(line)
    if len(sizes) < 2:
        return None
    bent = growth.bend(line)
    if bent is None:
        return Reach(subject, sizes[-1][0], None)
    before = [members for members, _ in sizes if members < bent]
    return Reach(subject, before[-1], bent, next(each for members, each in sizes if members == bent))


def _earlier(one: Reach, other: Reach) -> bool:
    return (one.bent is not None, -one.manages) > (other.bent is not None, -other.manages)


def _word(push: Reach, pull: Reach) -> Word:
    if push.bent is None:
        return Word.REFUTES if pull.bent is not None else Word.UNKNOWN
    if pull.bent is not None and pull.manages <= push.manages:
        return Word.REFUTES
    if pull.manages >= TEN.value * push.manages:
        return Word.SUPPORTS
    return Word.DEPENDS if pull.bent is not None else Word.UNKNOWN


def _on(words: dict[str, Word]) -> str:
    told = {
        Word.SUPPORTS: "ten times as many as push, or more",
        Word.DEPENDS: "more than push, but not ten times as many",
        Word.REFUTES: "no more than push",
    }
    parts = [f"{subject} manages {told[word]}" for subject, word in words.items() if word in told]
    return f"the {'way of pull' if len(set(words.values())) > 1 else 'number'} ({'; '.join(parts)})"
