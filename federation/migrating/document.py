"""A migration as a document: what `fedctl migrate -o json` prints, as docs/migration.md describes it. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from federation.migrating.deciding import Decision
from federation.migrating.facts import Facts
from federation.migrating.members import Verified
from federation.migrating.proving import Difference, Fate

API_VERSION = "fedctl.kubefed.io/v1"


def of(facts: Facts, decision: Decision) -> dict[str, Any]:
    """What was found, what speaks against it, and which steps are left."""
    following = decision.next
    return {
        "apiVersion": API_VERSION,
        "kind": "Migration",
        "host": facts.host,
        "namespace": facts.namespace,
        "checks": [
            _shown(name=each.name, grade=each.grade, message=each.message, hint=each.hint) for each in decision.checks
        ],
        "types": [
            {
                "name": each.name,
                "federated": each.federated,
                "propagation": "Enabled" if each.propagation else "Disabled",
                "objects": each.counted.objects,
                "upToDate": not each.outdated and not each.problem,
            }
            for each in facts.types
        ],
        "clusters": [
            _shown(
                name=each.name,
                kubernetes=each.version,
                clusterUID=each.uid,
                account=str(each.account or ""),
                silent=each.silent,
                refusal=each.refusal,
            )
            | {"tokenWithoutEnd": each.unbound, "everyRight": each.all_rights}
            for each in facts.clusters
        ],
        "leftOver": dict(facts.left),
        "steps": [
            {"step": str(each.step), "state": str(each.state), "what": list(each.what)} for each in decision.steps
        ],
        "next": str(following.step) if following is not None else "",
    }


def of_proofs(proofs: Sequence[Verified]) -> dict[str, Any]:
    """Members' objects, before and now."""
    return {"apiVersion": API_VERSION, "kind": "MigrationProof", "clusters": [_proof(each) for each in proofs]}


def _proof(proof: Verified) -> dict[str, Any]:
    found = proof.compared
    if found is None:
        return {"name": proof.cluster, "unknown": proof.why}
    counts = {str(fate): found.count(fate) for fate in Fate}
    numbers = {"before": found.before, "now": found.now, **counts, "takenOver": found.taken}
    return {"name": proof.cluster, **numbers, "differences": [_difference(each) for each in found.differences]}


def _difference(each: Difference) -> Mapping[str, Any]:
    return _shown(object=each.key, fate=str(each.fate)) | {"parts": list(each.parts), "writers": list(each.writers)}


def _shown(**fields: Any) -> dict[str, Any]:
    return {key: str(value) for key, value in fields.items() if value}
