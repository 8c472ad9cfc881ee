"""What findings come to in numbers: the figures that are read in Read.FINDINGS. Pure."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from federation.comparing import contract
from federation.comparing.contract import Credential, Fault, How, Lies, Upgrade
from federation.comparing.model import Finding, Sample

HOST = "host"
"""The hub's own name in rows."""

_Counts = Mapping[str, Sequence[float]]


def counted(findings: Sequence[Finding]) -> Iterator[Sample]:
    """Samples of all rounds of one run. Faults and steps that not every subject was put to count for none: otherwise a
    subject would look better by failing a measurement."""
    for scenario, count in _COUNTS.items():
        of_scenario = [finding for finding in findings if finding.scenario == scenario]
        groups: dict[tuple[str, int, tuple[tuple[str, object], ...]], list[Finding]] = defaultdict(list)
        for finding in _shared(of_scenario):
            members = tuple((key, value) for key, value in finding.at.items() if key == "members")
            groups[finding.subject, finding.round, members].append(finding)
        for (subject, number, _), group in groups.items():
            at = {key: value for key, value in group[0].at.items() if key == "members"}
            for figure, values in count(group).items():
                if values:
                    yield Sample(
                        scenario=scenario,
                        subject=subject,
                        round=number,
                        figure=figure,
                        values=tuple(values),
                        at=at,
                    )


def _shared(findings: Sequence[Finding]) -> Iterable[Finding]:
    """Those about steps and faults that every subject has."""
    names: dict[str, set[object]] = defaultdict(set)
    for finding in findings:
        names[finding.subject].add(_name(finding))
    common = set.intersection(*names.values()) if names else set()
    return [finding for finding in findings if _name(finding) is None or _name(finding) in common]


def _name(finding: Finding) -> object:
    return finding.facts.get("step") or finding.facts.get("fault")


def _upgrades(findings: Sequence[Finding]) -> _Counts:
    broken = [row for row in contract.rows(findings, Upgrade) if row.broke]
    return {
        "broken": [len(broken)],
        "silent": [sum(not row.hub_says for row in broken)],
        "broken_for": [sum(row.seconds for row in broken)],
    }


def _faults(findings: Sequence[Finding]) -> _Counts:
    rows = contract.rows(findings, Fault)
    shown = [row for row in rows if row.shown]
    return {
        "seen": [len(shown) / len(rows)] if rows else [],
        "seen_after": [row.seconds for row in shown if row.seconds is not None],
        "seen_by": [row.commands for row in shown if row.commands is not None],
    }


def _credentials(findings: Sequence[Finding]) -> _Counts:
    of_members = [row for row in contract.rows(findings, Credential) if row.opens != HOST]
    at_hub = [row for row in of_members if row.lies is Lies.HUB]
    days = [math.inf if row.valid_days is None else row.valid_days for row in of_members if row.how is How.DIRECTLY]
    return {
        "secrets": [sum(row.how is How.DIRECTLY for row in at_hub)],
        "valid": [max(days)] if days else [],
        "reach": [len({row.opens for row in at_hub if row.writes})],
    }


_COUNTS: Mapping[str, Callable[[Sequence[Finding]], _Counts]] = {
    "versions": _upgrades,
    "trouble": _faults,
    "credentials": _credentials,
}
