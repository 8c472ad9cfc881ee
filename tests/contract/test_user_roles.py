"""Which of Kubernetes' roles view, edit and admin hold what, as typegen knows it, and as a real API server serves it.

The table decides who may write a federated type, and so its target in every member. A newer Kubernetes that gives a
role more or less fails here: change the table in typegen.userroles and say so in the changelog.
"""

import ssl
from collections import defaultdict

import pytest

from federation.playground import access
from federation.playground.access import LocalCluster
from tests.clusters.crds_server import Server
from typegen import userroles

pytestmark = pytest.mark.clusters


@pytest.fixture
def api(server: LocalCluster) -> Server:
    trust: ssl.SSLContext = access.tls(server.ca_pem)
    return Server(server, trust)


def serves(api: Server) -> set[tuple[str, str]]:
    """Group and plural of every resource that can be listed, and so be federated."""
    versions = ["/api/v1"]
    for group in api.get("/apis")["groups"]:
        versions += [f"/apis/{each['groupVersion']}" for each in group["versions"]]
    found = set()
    for path in versions:
        answer = api.get(path)
        group = answer["groupVersion"].rpartition("/")[0]
        found |= {(group, each["name"]) for each in answer["resources"] if "list" in each["verbs"]}
    return found


def holds(api: Server, role: str) -> dict[tuple[str, str], set[str]]:
    """Group and plural -> verbs of what the API server's own share of a role holds."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for rule in api.get(f"/apis/rbac.authorization.k8s.io/v1/clusterroles/system:aggregate-to-{role}")["rules"]:
        for group in rule["apiGroups"]:
            for plural in rule["resources"]:
                found[group, plural] |= set(rule["verbs"])
    return found


def test_the_table_is_the_api_servers_own(api: Server) -> None:
    resources = serves(api)
    assert {("", "resourcequotas"), ("discovery.k8s.io", "endpointslices"), ("apps", "deployments")} <= resources
    for role in userroles.ROLES:
        theirs = holds(api, role)
        for group, plural in sorted(resources):
            verbs = theirs[group, plural]
            reads, writes = set(userroles.READ) <= verbs, set(userroles.WRITE) <= verbs
            ours = userroles.held(group, plural).get(role, ())
            assert ("get" in ours, "create" in ours) == (reads, writes), f"{role}: {plural}.{group}"


def test_each_role_holds_what_those_before_it_hold(api: Server) -> None:
    """So that what is aggregated to view need not be repeated for edit and admin."""
    for before, role in zip(userroles.ROLES, userroles.ROLES[1:], strict=False):
        labels = api.get(f"/apis/rbac.authorization.k8s.io/v1/clusterroles/{before}")["metadata"]["labels"]
        assert labels.get(f"rbac.authorization.k8s.io/aggregate-to-{role}") == "true"
