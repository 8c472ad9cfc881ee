"""What a hub may not do to a member, and how much it may ask for: executors, the agent itself, size and number."""

import asyncio
import secrets
from typing import Any

from federation.joining import applying, fences, tokens
from federation.model.resources import (
    CONFIG_MAPS,
    NAMESPACES,
    ROLE_BINDINGS,
    ROLES,
    SECRETS,
    SERVICE_ACCOUNTS,
    ObjectName,
)
from federation.model.works import MANIFEST_WORKS
from tests.clusters.agents import MEMBER, Pull, of_manifest, pull
from tests.clusters.harness import Api, eventually
from tests.clusters.steps import attempt, holds

__all__ = ["pull"]

EVERYTHING = ["create", "update", "patch", "get", "delete"]


async def executor(pull: Pull, rules: list[dict[str, Any]]) -> dict[str, Any]:
    """An account in the member with these rights in the test's namespace, as spec.executor."""
    name = "executor"
    await pull.member.create(SERVICE_ACCOUNTS, {"metadata": {"name": name}}, pull.namespace)
    await pull.member.create(ROLES, {"metadata": {"name": name}, "rules": rules}, pull.namespace)
    subject = {"kind": "ServiceAccount", "name": name, "namespace": pull.namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    binding = {"metadata": {"name": name}, "roleRef": role, "subjects": [subject]}
    await pull.member.create(ROLE_BINDINGS, binding, pull.namespace)
    account = {"namespace": pull.namespace, "name": name}
    return {"subject": {"type": "ServiceAccount", "serviceAccount": account}}


async def test_an_executor_is_asked_for_every_object(pull: Pull) -> None:
    who = await executor(pull, [{"apiGroups": [""], "resources": ["configmaps"], "verbs": EVERYTHING}])
    await pull.start(**{"federation.agent.reconciling.SLOW": 1.0})
    await pull.work("w", pull.object("a"), pull.object("s", "Secret"), executor=who)
    work = await pull.until("w", status="False")
    assert of_manifest(work, "a", "Applied")["status"] == "True"
    assert "may not create secrets" in of_manifest(work, "s", "Applied")["message"]
    assert await pull.member.get(SECRETS, pull.namespace, "s") is None
    more = [
        {"op": "add", "path": "/rules/-", "value": {"apiGroups": [""], "resources": ["secrets"], "verbs": EVERYTHING}}
    ]
    await pull.member.json_patch(ROLES, pull.namespace, "executor", more)
    await pull.until("w", within=60.0)


async def test_an_executor_cannot_grant_what_it_does_not_have(pull: Pull) -> None:
    roles = {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles", "rolebindings"], "verbs": EVERYTHING}
    who = await executor(pull, [roles, {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}])
    await pull.start()
    api = "rbac.authorization.k8s.io/v1"
    rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}
    mild = pull.object("mild", "Role", api, rules=[rule])
    wild = pull.object("wild", "Role", api, rules=[{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}])
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    admin = pull.object("admin", "RoleBinding", api, roleRef=reference, subjects=[])
    await pull.work("w", mild, wild, admin, executor=who)
    work = await pull.until("w", status="False")
    assert of_manifest(work, "mild", "Applied")["status"] == "True"
    assert "whoever grants a right must have it" in of_manifest(work, "wild", "Applied")["message"]
    assert of_manifest(work, "admin", "Applied")["status"] == "False"
    assert await pull.member.get(ROLE_BINDINGS, pull.namespace, "admin") is None


async def test_no_work_changes_what_the_agent_rests_on(pull: Pull) -> None:
    await pull.start()
    await pull.work("first", pull.object("a"))
    await pull.until("first")
    (kept, *_) = await eventually(pull.kept)
    name = kept["metadata"]["name"]
    metadata = {"name": name, "namespace": pull.agents}
    await pull.work("w", {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {}})
    work = await pull.until("w", status="False")
    assert "what the agent itself rests on" in of_manifest(work, name, "Applied")["message"]
    stored = await pull.member.get(SECRETS, pull.agents, name)
    assert stored is not None
    assert stored["data"] == kept["data"]


async def test_a_namespace_that_the_members_admin_has_not_given_is_refused_in_words(pull: Pull) -> None:
    await pull.start()
    metadata = {"name": "a", "namespace": f"{pull.namespace}-missing"}
    await pull.work("w", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}, pull.object("b"))
    work = await pull.until("w", status="False")
    assert "not found" in of_manifest(work, "a", "Applied")["message"]
    assert of_manifest(work, "b", "Applied")["status"] == "True"


async def test_a_namespace_that_the_members_admin_has_fenced_off_stays_as_it_is(pull: Pull) -> None:
    """By an admission policy about the agent's account, which no right that the agent has outweighs."""
    fenced = f"{pull.namespace}-fenced"
    await pull.member.create(NAMESPACES, {"metadata": {"name": fenced}})
    await pull.member.create(CONFIG_MAPS, {"metadata": {"name": "a"}, "data": {"k": "theirs"}}, fenced)

    def inside(name: str) -> dict[str, Any]:
        metadata = {"name": name, "namespace": fenced}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"k": "hubs"}}

    policy = fences.policy(ObjectName(pull.agents, "work-agent"), (fenced,), ())
    try:
        for manifest in policy:
            await pull.member.apply(applying.resource_of(manifest), manifest)
        account = await tokens.request(pull.member.connection, ObjectName(pull.agents, "work-agent"))
        async with Api(pull.playground.clusters[MEMBER], token=account.token) as agent:

            async def in_force() -> bool:  # a policy takes a moment
                why = await attempt(agent, CONFIG_MAPS, fenced, {"metadata": {"generateName": "probe"}})
                return "is fenced off" in why

            await eventually(in_force)
        await pull.start()
        space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": fenced, "labels": {"k": "hubs"}}}
        await pull.work("w", space, inside("a"), pull.object("b"))
        work = await pull.until("w", status="False")
        for name in (fenced, "a"):
            assert "is fenced off" in of_manifest(work, name, "Applied")["message"]
        assert of_manifest(work, "b", "Applied")["status"] == "True"
        kept = await pull.member.get(CONFIG_MAPS, fenced, "a")
        assert kept is not None
        assert (kept["data"], kept["metadata"].get("labels")) == ({"k": "theirs"}, None)
        left = await pull.member.get(NAMESPACES, "", fenced)
        assert left is not None
        assert "k" not in left["metadata"]["labels"]
        await pull.host.delete(MANIFEST_WORKS, pull.cluster, "w")
        await pull.gone("w")  # what was never applied is not in the way
        await holds(pull.member, CONFIG_MAPS, fenced, "a")
    finally:
        for manifest in policy:
            await pull.member.delete(applying.resource_of(manifest), "", manifest["metadata"]["name"])
        await pull.member.delete(NAMESPACES, "", fenced)


async def test_a_work_of_a_megabyte_is_applied_and_kept(pull: Pull) -> None:
    await pull.start(**{"federation.agent.keeper.DELAY": 0.5})
    noise = {f"k{number}": secrets.token_urlsafe(82_000) for number in range(3)}
    await pull.work("w", *(pull.object(f"a{number}", data=noise) for number in range(3)))
    await pull.until("w", within=60.0)

    async def kept() -> bool:
        return len(await pull.kept()) > 1

    await eventually(kept)
    pull.agent.kill()
    pull.cut()
    await pull.member.delete(CONFIG_MAPS, pull.namespace, "a1")
    await pull.start(**{"federation.agent.membership.HUB_PATIENCE": 0.5})
    await holds(pull.member, CONFIG_MAPS, pull.namespace, "a1", lambda found: found["data"] == noise)
    pull.mend()


async def test_a_thousand_works_at_once(pull: Pull) -> None:
    await pull.start()
    number = 1_000
    limit = asyncio.Semaphore(8)

    async def one(index: int) -> None:
        async with limit:
            await pull.work(f"w{index}", pull.object(f"a{index}", data={"k": "1"}))

    await asyncio.gather(*(one(index) for index in range(number)))

    async def reported() -> bool:
        works = await pull.host.items(MANIFEST_WORKS, pull.cluster)
        said = [each.get("status", {}).get("conditions", [{}])[0].get("status") for each in works]
        return said.count("True") == number

    await eventually(reported, within=240.0, every=1.0)
    counts = ("apply", "patch", "delete", "record")
    writes = sum(pull.count("federation_agent_member_writes_total", what=each) for each in counts)
    assert writes <= 2.02 * number  # each object and its record
    assert (
        pull.count("federation_agent_member_writes_total", what="kept") <= number / 5
    )  # a slow machine keeps more often
    assert pull.count("federation_agent_hub_writes_total") <= 2.1 * number

    async def end(index: int) -> None:
        async with limit:
            await pull.host.delete(MANIFEST_WORKS, pull.cluster, f"w{index}")

    await asyncio.gather(*(end(index) for index in range(number)))

    async def none_left() -> bool:
        return not await pull.host.items(MANIFEST_WORKS, pull.cluster)

    await eventually(none_left, within=240.0, every=1.0)
    assert not await pull.member.items(CONFIG_MAPS, pull.namespace) or {
        each["metadata"]["name"] for each in await pull.member.items(CONFIG_MAPS, pull.namespace)
    } <= {"kube-root-ca.crt"}
    after = sum(pull.count("federation_agent_member_writes_total", what=each) for each in counts)
    assert after - writes <= 2.02 * number
