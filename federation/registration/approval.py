"""Decide on a cluster's certificate request: renewed, accepted by a token's rule, left to a person, or wrong.

The rules for renewals are Open Cluster Management's after CVE-2026-4740, where a cluster could have a certificate for
another one's name approved. A first certificate is approved by a person (`fedctl accept`) or by the rule of the very
token that it was asked with. Nothing here denies: a request that was meant for somebody else's approver is left alone.
"""

import enum
from collections.abc import Callable
from dataclasses import dataclass

from federation.core import checks
from federation.registration import names
from federation.registration.asking import USAGES, Contents, Request, State, Unreadable
from federation.registration.invitations import Rule

_OPTIONAL_USAGES = frozenset({"key encipherment"})


class Verdict(enum.Enum):
    """What is to be done about a request."""

    RENEW = "renew"
    """Approve it: an accepted agent asks for the same again."""
    ACCEPT = "accept"
    """Accept the cluster and approve it: the token's rule says so."""
    PERSON = "person"
    """It waits for `fedctl accept`."""
    WRONG = "wrong"
    """It breaks a rule: nobody here approves it."""
    DECIDED = "decided"
    """It has been approved or denied already."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict and its reason, for people. `agent` is "" where the request does not name one that can be read."""

    verdict: Verdict
    reason: str
    cluster: str = ""
    agent: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """A cluster of that name that the hub has. `agent` is the one that was accepted; "" where it is not of pull mode.

    `leaving`: its KubeFedCluster is being deleted. `request` is the uid of the one that was accepted.
    """

    pull: bool
    agent: str = ""
    leaving: bool = False
    request: str = ""


Reader = Callable[[bytes], Contents]
"""certificates.contents: given, so that who decides nothing does not import cryptography."""


def decide(request: Request, read: Reader, known: Known | None, rule: Rule | None) -> Decision:
    """What is to be done about one request. `rule` is that of the token that it was made with, None for no token.

    RENEW is not the last word: the hub is still asked, by a SubjectAccessReview, whether this agent may renew.
    """
    if request.state is not State.PENDING:
        return Decision(Verdict.DECIDED, request.state.value)
    try:
        contents = read(request.pem)
    except Unreadable as error:
        return Decision(Verdict.WRONG, str(error), request.labelled)
    if broken := fault(request, contents):
        return Decision(Verdict.WRONG, broken, request.labelled)
    cluster, agent = names.parts(contents.common_names[0]) or ("", "")
    if request.username.startswith(names.PREFIX):
        return _renewal(request, contents, cluster, agent, known)
    return _first(request, cluster, agent, known, rule)


def fault(request: Request, contents: Contents) -> str:
    """Which of the rules that hold for every certificate the request breaks; "" for none."""
    cluster = request.labelled
    if request.signer != names.SIGNER:
        return f"its signer is {checks.quote(request.signer)}, not {names.SIGNER}"
    if not names.is_cluster(cluster):
        return f"its label {names.CLUSTER_LABEL} names no cluster: {checks.quote(cluster)}"
    if not contents.signed:
        return "it is not signed with the key that the certificate would be for"
    own = [each for each in contents.organizations if each != names.COMMON_GROUP]
    if own != [names.group(cluster)] or len(contents.organizations) > 2:
        return f"its organisations are not {names.group(cluster)} alone"
    if len(contents.common_names) != 1:
        return "it has not exactly one common name"
    found = names.parts(contents.common_names[0])
    if found is None or found[0] != cluster:
        return f"its common name is not {names.group(cluster)}:AGENT, with nothing after it"
    if contents.other_attributes:
        return f"its subject has more than organisation and common name: {', '.join(contents.other_attributes[:3])}"
    if contents.extensions:
        return f"it asks for other names or extensions: {', '.join(contents.extensions[:3])}"
    asked = set(request.usages)
    if len(asked) != len(request.usages) or asked | _OPTIONAL_USAGES != set(USAGES):
        return f"its usages are not {', '.join(USAGES)}"
    return ""


def _renewal(request: Request, contents: Contents, cluster: str, agent: str, known: Known | None) -> Decision:
    """An agent asks with the certificate that it has."""
    who = contents.common_names[0]

    def wrong(reason: str) -> Decision:
        return Decision(Verdict.WRONG, reason, cluster, agent)

    if request.username != who:
        return wrong(f"{checks.quote(request.username, 160)} asks for a certificate of {checks.quote(who, 160)}")
    if known is None or not known.pull:
        return wrong(f"no cluster {cluster} in pull mode has been accepted")
    if known.leaving:
        return wrong(f"cluster {cluster} is leaving")
    if known.agent != agent:
        return wrong(f"the agent of cluster {cluster} is {known.agent or 'none'} now, not {agent}")
    return Decision(Verdict.RENEW, "an accepted agent renews its certificate", cluster, agent)


def _first(request: Request, cluster: str, agent: str, known: Known | None, rule: Rule | None) -> Decision:
    """Somebody asks who has no certificate of a cluster."""

    def person(reason: str) -> Decision:
        return Decision(Verdict.PERSON, reason, cluster, agent)

    if known is not None and not known.pull:
        return person(f"cluster {cluster} has joined in push mode")
    if known is not None and known.agent == agent and not known.leaving and known.request == request.uid:
        return Decision(Verdict.ACCEPT, "it has been accepted", cluster, agent)  # and whoever did so could not approve
    if known is not None and known.agent:
        again = "the same agent" if known.agent == agent else f"another agent than {known.agent}"
        return person(f"cluster {cluster} has been accepted before, and {again} asks anew")
    if rule is None:
        return person("it was not asked for with a token of ours")
    if rule.ended:
        return person("its token has ended")
    if not rule.accepts(cluster):
        return person(f"its token accepts no cluster {cluster} by itself")
    return Decision(Verdict.ACCEPT, f"token {rule.token} accepts it", cluster, agent)
