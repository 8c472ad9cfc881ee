"""The claims of the article that the comparison checks, and the scenarios that measure them. Facts alone.

Source: Ant Group's SOFAStack team on why it left KubeFed's push architecture for Open Cluster Management's pull. The
sentences are ours.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Claim:
    """One of the nine. `scenario` is the name for --scenario."""

    number: int
    scenario: str
    title: str
    """What push is accused of."""
    question: str
    """What the scenario measures."""


CLAIMS = (
    Claim(
        1,
        "joining",
        "Adding clusters is slow and manual",
        "Commands, credentials that are copied, rights and seconds for one cluster, and for many at once while objects "
        "already wait for them.",
    ),
    Claim(
        2,
        "hub-load",
        "The hub's resources run high",
        "CPU and memory of the hub per object and per change, at rest and under load; the rate that fills one core, "
        "and what share of it the controller is.",
    ),
    Claim(
        3,
        "growth",
        "It is inefficient with many clusters",
        "Cost and latency over the number of members, and how they grow.",
    ),
    Claim(
        4,
        "twins",
        "Every type's federated twin doubles the objects",
        "Objects and bytes in the hub's etcd per application. A work for each cluster is data of the hub, too.",
    ),
    Claim(
        5,
        "versions",
        "Hub and members are tied to one version of a CRD",
        "A rolling upgrade of a CRD: what breaks, for how long, and what the hub says.",
    ),
    Claim(
        6,
        "trouble",
        "What goes wrong in a member is invisible at the hub",
        "A dozen faults in members: what the hub shows of each, after how long, and by how many commands.",
    ),
    Claim(
        7,
        "cut",
        "A cut link stops everything",
        "The link is cut, and the hub is gone, while users and members go on: what is repaired meanwhile, how long it "
        "takes to converge afterwards, and what is lost or done twice.",
    ),
    Claim(
        8,
        "credentials",
        "Plaintext kubeconfigs circulate",
        "What lies where, how long it is valid, and what a thief of each could do, by asking the API servers.",
    ),
    Claim(
        9,
        "bend",
        "Pull manages ten times as many clusters",
        "Growth continued with simulated members, to where each way bends on this machine.",
    ),
)

DISTANCE = Claim(
    10,
    "distance",
    "The world is no loopback",
    "The same changes over links of 0, 50 and 200 ms round trip, with losses, and with a member that hangs.",
)
"""Not of the article: its clusters were spread over a country."""

SCENARIOS = (*CLAIMS, DISTANCE)
