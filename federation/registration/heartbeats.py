"""What a cluster's Lease at the hub shows: whether its agent lives, and since when it has not been heard.

A beat is believed when it is seen, by the hub's clock: the agent's own may be wrong. Only for beats from before our
start is the time counted that the Lease names.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from federation.core import scrubbing, times
from federation.model.federated import StoredObject
from federation.registration import names

MISSED = 5
"""Lease durations without a beat after which a cluster is not known to live: OCM's number."""
_SHORTEST, _LONGEST = 1, 3600
VERSION_ANNOTATION = "kubefed.io/kubernetes-version"
"""On the Lease: the version of the member's API server, as its agent says."""
AGENT_VERSION_ANNOTATION = "kubefed.io/agent-version"
"""On the Lease: the version of the agent itself."""
TROUBLE_ANNOTATION = "kubefed.io/member-trouble"
"""On the Lease: what the agent finds wrong with the member's API server, which it hears and sees nothing of, while the
hub hears the agent well. Absent while nothing is."""
_MOST_TROUBLE = 256


@dataclass(frozen=True, slots=True)
class Beat:
    """What a Lease says. `holder` is the agent's id; `renewed` is "" where there was no beat yet."""

    holder: str = ""
    renewed: str = ""
    seconds: int = names.LEASE_SECONDS
    kubernetes: str = ""
    trouble: str = ""
    """What the agent finds wrong with its member; "" while nothing is."""

    @property
    def patience(self) -> float:
        """Seconds without a beat after which nothing is known."""
        return float(MISSED * self.seconds)


def read(stored: StoredObject) -> Beat:
    """What the Lease says; what has no meaning counts as not written."""
    spec, noted = stored.spec, stored.metadata.annotations
    seconds = spec.get("leaseDurationSeconds")
    sound = isinstance(seconds, int) and not isinstance(seconds, bool) and _SHORTEST <= seconds <= _LONGEST
    version = noted.get(VERSION_ANNOTATION, "")
    return Beat(
        holder=_text(spec.get("holderIdentity")),
        renewed=_text(spec.get("renewTime")),
        seconds=int(seconds) if sound and isinstance(seconds, int) else names.LEASE_SECONDS,
        kubernetes=version if len(version) <= 63 and version.isascii() and version.isprintable() else "",
        trouble=scrubbing.line(noted.get(TROUBLE_ANNOTATION, ""), _MOST_TROUBLE),
    )


def heard_before(beat: Beat, now: float) -> float | None:
    """When a beat that we have not seen come was sent, by the Lease, but not in the future; None where none was."""
    sent = times.moment(beat.renewed) if beat.renewed else None
    return min(now, sent.timestamp()) if sent is not None else None


def spec(agent: str, now: float, seconds: int = names.LEASE_SECONDS) -> Mapping[str, Any]:
    """The Lease's spec after a beat."""
    return {"holderIdentity": agent, "leaseDurationSeconds": seconds, "renewTime": times.microtime(now)}


def notes(agent: str, kubernetes: str, trouble: str) -> Mapping[str, str | None]:
    """The Lease's annotations after a beat, as a merge patch: the version of the agent, the version of the member's API
    server where that is known, and what is wrong with it."""
    known = {VERSION_ANNOTATION: kubernetes} if kubernetes else {}
    return {AGENT_VERSION_ANNOTATION: agent, **known, TROUBLE_ANNOTATION: trouble[:_MOST_TROUBLE] or None}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
