"""Metrics of the agent, each with the cluster that the membership is of: one process may carry many."""

import contextlib

from prometheus_client import Counter, Gauge

WORKS = Gauge("federation_agent_works", "ManifestWorks that are carried out.", ["cluster"])
PLACEMENTS = Gauge("federation_agent_placements", "Objects that works name.", ["cluster"])
HELD = Gauge(
    "federation_agent_held_works",
    "Works that the hub does not have, of which nothing is deleted without proof.",
    ["cluster"],
)
WRITES = Counter(
    "federation_agent_member_writes_total",
    "Writes to the member: apply, patch, delete, record (AppliedManifestWork), kept (Secret).",
    ["cluster", "what"],
)
HUB_WRITES = Counter("federation_agent_hub_writes_total", "Writes to the hub: finalizer, status.", ["cluster", "what"])
DRIFT = Counter("federation_agent_repairs_total", "Objects that were not as they had been applied.", ["cluster"])
HUB_SILENCE = Gauge("federation_agent_hub_silence_seconds", "Seconds since the hub was last heard of.", ["cluster"])
LEADS = Gauge("federation_agent_leads", "1 while this process is the cluster's agent.", ["cluster"])
CPU = Counter(
    "federation_agent_cpu_seconds_total",
    "CPU time of the process, divided among its memberships by the requests that each has sent.",
    ["cluster"],
)
_ALL = (WORKS, PLACEMENTS, HELD, HUB_SILENCE, LEADS)


def forget(cluster: str) -> None:
    """Drop what is known of a membership that has ended."""
    for each in _ALL:
        with contextlib.suppress(KeyError):
            each.remove(cluster)
