"""What is kept in the member, what an executor must be allowed to, and what an absent work means."""

import hashlib
from collections.abc import Iterable
from typing import Any

import pytest

from federation.model.errors import Invalid
from federation.model.federated import Metadata, StoredObject
from federation.model.resources import CLUSTER_ROLES, ROLE_BINDINGS, Resource
from federation.model.works import Account, AppliedResource, AppliedWork, Identifier
from federation.work import executing, holding, identity, keeping
from federation.work.copies import Record
from federation.work.holding import Verdict
from federation.work.keeping import Kept, Part, Stored

DEPLOYMENTS = Resource("apps", "v1", "Deployment", "deployments", namespaced=True)


def kept(name: str, spec: str = "{}", generation: int = 1) -> Kept:
    records = {keeping.records_key("work-agent", "configmaps n/c"): Record("digest", "uid", "owned", 5)}
    return Kept(name, f"uid-{name}", generation, "2027", spec, records=records)


def stored(parts: Iterable[Part]) -> list[Stored]:
    return [Stored(part.name, part.body["metadata"]["annotations"], part.body["data"]) for part in parts]


def parts(works: list[Kept], page: str = "p1") -> list[Part]:
    return keeping.parts(keeping.pack(works), page, agent="a", namespace="n")


def test_a_page_reads_back_as_it_was_written() -> None:
    works = [kept("a"), kept("b")]
    found = keeping.assemble(stored(parts(works)))
    assert found.works == works
    assert found.secrets == {"p1": ("work-agent-a-p1",)}
    assert found.broken == []


def test_a_large_page_is_divided_and_no_part_of_another_state_is_taken_for_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keeping, "LARGEST_PART", 40)
    before, after = parts([kept("a", "x" * 100)]), parts([kept("a", "y" * 1_000, 2)])
    assert len(before) > 1
    assert not {each.name for each in before} & {each.name for each in after}
    found = keeping.assemble(stored([*before, *after]))  # a crash before the older ones were deleted
    assert keeping.newest(found.works)["a"].generation == 2
    torn = keeping.assemble(stored([*before, *after[1:]]))  # a crash before the newer ones were complete
    assert [each.generation for each in torn.works] == [1]
    assert [page for page, _ in torn.broken] == ["p1"]


@pytest.mark.parametrize("content", [b"", b"nonsense", keeping.pack([])[:-3]])
def test_what_is_no_page_is_refused(content: bytes) -> None:
    with pytest.raises(Invalid):
        keeping.unpack(content)


def test_a_large_work_has_its_own_page() -> None:
    assert keeping.page_of("a", keeping.LARGE) != keeping.page_of("b", keeping.LARGE)
    assert len({keeping.page_of(str(number), 10) for number in range(500)}) == keeping.PAGES


def applied(**more: Any) -> AppliedWork:
    return AppliedWork("h-w", "amw", "1", "h", "a", "w", **more)


@pytest.mark.parametrize(
    ("facts", "verdict"),
    [
        pytest.param({"listed": False}, Verdict.WAIT, id="hub-not-listed"),
        pytest.param({}, Verdict.HOLD, id="absent-without-a-word"),
        pytest.param({"leaving": True}, Verdict.LET_GO, id="seen-to-be-deleted"),
        pytest.param({"forgotten": frozenset({"u"})}, Verdict.LET_GO, id="recorded"),
        pytest.param({"forgotten": frozenset({"v"})}, Verdict.HOLD, id="another-was-recorded"),
        pytest.param({"uid": "", "forgotten": frozenset({""})}, Verdict.HOLD, id="no-uid-fits-no-record"),
        pytest.param({"applied": applied(let_go=True)}, Verdict.LET_GO, id="a-person-says-so"),
    ],
)
def test_nothing_goes_by_absence(facts: dict[str, Any], verdict: Verdict) -> None:
    known: dict[str, Any] = {
        "listed": True,
        "uid": "u",
        "leaving": False,
        "applied": applied(),
        "forgotten": frozenset(),
    }
    assert holding.judge(**(known | facts)) is verdict


def test_records_of_deletions_are_read_from_any_work() -> None:
    assert holding.forgotten([{"work.kubefed.io/forgotten": "a, b,"}, {}]) == {"a", "b"}


def test_an_applied_work_reads_back_as_it_is_written() -> None:
    resources = (AppliedResource(Identifier("apps", "deployments", "n", "x"), "v1", "uid"),)
    before = applied(resources=resources)
    body = identity.body(before)
    read = identity.read(
        StoredObject(Metadata("h-w", uid="amw", resource_version="1"), spec=body["spec"], status=body["status"])
    )
    assert read == before


def test_the_record_of_a_work_has_its_documented_name() -> None:
    assert identity.hub_hash("https://hub") == hashlib.sha256(b"https://hub").hexdigest()
    assert identity.applied_name("h", "w") == "h-w"
    with pytest.raises(Invalid):
        identity.applied_name("h" * 64, "w" * 200)


def test_what_an_executor_needs_for_an_object() -> None:
    verbs = [each["verb"] for each in executing.wanted(DEPLOYMENTS, "n", "x", deletes=True)]
    assert verbs == ["create", "update", "patch", "get", "delete"]
    assert executing.escalates(DEPLOYMENTS, "n", {}) is None


def test_granting_needs_what_is_granted() -> None:
    rule = {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["create", "get"]}
    role = {"metadata": {"name": "r"}, "rules": [rule, {"nonResourceURLs": ["/metrics"], "verbs": ["get"]}]}
    asked = executing.grants(CLUSTER_ROLES, "", role)
    assert [(each.get("resource"), each.get("subresource"), each.get("path"), each["verb"]) for each in asked] == [
        ("pods", "exec", None, "create"),
        ("pods", "exec", None, "get"),
        (None, None, "/metrics", "get"),
    ]
    assert executing.escalates(CLUSTER_ROLES, "", role)["verb"] == "escalate"  # type: ignore[index]
    binding = {"roleRef": {"kind": "ClusterRole", "name": "admin"}}
    bind = executing.escalates(ROLE_BINDINGS, "n", binding)
    assert bind is not None
    assert (bind["verb"], bind["resource"], bind["namespace"]) == ("bind", "clusterroles", "")
    with pytest.raises(Invalid):
        executing.escalates(ROLE_BINDINGS, "n", {"roleRef": {"kind": "Group"}})


def test_a_review_names_the_account_and_its_groups() -> None:
    account = Account("n", "sa")
    (first, *_) = executing.wanted(DEPLOYMENTS, "n", "x", deletes=False)
    spec = executing.review(account, first)["spec"]
    assert spec["user"] == "system:serviceaccount:n:sa"
    assert "system:serviceaccounts:n" in spec["groups"]
    assert "may not create deployments.apps" in executing.refusal(account, first)
