"""The nine verdicts, in the order of the claims. Pure."""

from federation.comparing import bending, verdicts
from federation.comparing.claims import CLAIMS
from federation.comparing.rules import RULES
from federation.comparing.summary import Summary
from federation.comparing.verdicts import Verdict


def judge(summary: Summary) -> list[Verdict]:
    """Each by its rule; the last by the sizes at which push and pull bend."""
    return [
        bending.decide(summary, claim)
        if claim.scenario == "bend"
        else verdicts.by_rule(summary, claim, RULES[claim.scenario])
        for claim in CLAIMS
    ]
