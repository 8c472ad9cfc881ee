"""The work agent when something is away: its hub, its member, itself. An outage deletes nothing and loses nothing."""

import asyncio
import dataclasses
from typing import Any

from federation.model.resources import CONFIG_MAPS, CRDS, NAMESPACES
from federation.model.works import APPLIED_WORKS, HELD_ANNOTATION, LET_GO_ANNOTATION, MANIFEST_WORKS, WORK_FINALIZER
from federation.playground import access
from federation.playground.faults import Fault
from tests.clusters.agents import Agent, Pull, pull
from tests.clusters.harness import Api, eventually, never
from tests.clusters.steps import gone, holds
from typegen import templates

__all__ = ["pull"]


async def changed_to(pull: Pull, name: str, value: str) -> None:
    """The object in the member has this value."""
    await holds(pull.member, CONFIG_MAPS, pull.namespace, name, lambda found: found.get("data") == {"k": value})


async def edit(pull: Pull, name: str, value: str) -> None:
    """Somebody changes it in the member."""
    await pull.member.patch(CONFIG_MAPS, pull.namespace, name, {"data": {"k": value}})


async def test_what_is_kept_is_kept_as_a_secret(pull: Pull) -> None:
    await pull.start()
    secret = pull.object("s", "Secret", stringData={"p": "hunter2"})
    await pull.work("w", secret)
    await pull.until("w")
    (kept, *_) = await eventually(pull.kept)
    assert kept["metadata"]["name"].startswith("work-agent-")
    assert "hunter2" not in pull.agent.log
    work = await pull.stored("w")
    assert "hunter2" not in str((work or {})["status"])


async def test_drift_is_repaired_while_the_hub_is_gone_and_an_edit_of_the_cut_is_applied_after_it(pull: Pull) -> None:
    await pull.start()
    await pull.work("w", pull.object("a", data={"k": "1"}))
    await pull.until("w")
    pull.cut()
    await edit(pull, "a", "somebody")
    await changed_to(pull, "a", "1")
    await pull.work("w", pull.object("a", data={"k": "2"}))
    await pull.work("new", pull.object("b", data={"k": "3"}))
    pull.mend()
    await pull.until("w", within=60.0)
    await pull.until("new")
    await changed_to(pull, "a", "2")


async def test_a_restart_without_the_hub_goes_on_with_what_was_kept(pull: Pull) -> None:
    await pull.start()
    await pull.work("w", pull.object("a", data={"k": "1"}), pull.object("b", data={"k": "2"}))
    await pull.until("w")
    before = await pull.member.get(CONFIG_MAPS, pull.namespace, "a")
    assert await asyncio.to_thread(pull.agent.stop) == 0  # it keeps what it has not kept yet
    pull.cut()
    await edit(pull, "a", "somebody")
    await pull.member.delete(CONFIG_MAPS, pull.namespace, "b")
    await pull.start(**{"federation.agent.membership.HUB_PATIENCE": 1.0})
    await changed_to(pull, "a", "1")
    await changed_to(pull, "b", "2")
    await edit(pull, "a", "somebody, again")
    await changed_to(pull, "a", "1")
    code, text = pull.agent.health("/hubz")
    assert code == 500 or "not heard" in text
    await pull.host.delete(MANIFEST_WORKS, pull.cluster, "w")
    pull.mend()
    await pull.gone("w", within=60.0)
    await gone(pull.member, CONFIG_MAPS, pull.namespace, "a")
    assert before is not None


async def test_a_restart_writes_nothing_that_is_right_already(pull: Pull) -> None:
    await pull.start()
    await pull.work("w", *(pull.object(f"a{number}", data={"k": "1"}) for number in range(5)))
    await pull.until("w")
    await asyncio.to_thread(pull.agent.stop)
    await pull.start()
    await pull.work("other", pull.object("b"))
    await pull.until("other")
    assert pull.count("federation_agent_member_writes_total", what="apply") == 1


async def test_an_agent_that_was_killed_does_not_put_back_what_it_had_not_kept(pull: Pull) -> None:
    await pull.start(**{"federation.agent.keeper.DELAY": 1.0})
    await pull.work("w", pull.object("a", data={"k": "1"}))
    await pull.until("w")
    await eventually(pull.kept)
    pull.agent.kill()
    await pull.start(**{"federation.agent.keeper.DELAY": 600.0, "federation.agent.keeper.LONGEST": 600.0})
    await pull.work("w", pull.object("a", data={"k": "2"}))
    await pull.until("w")
    pull.agent.kill()
    pull.cut()
    await pull.start(**{"federation.agent.membership.HUB_PATIENCE": 0.5})

    async def put_back() -> bool:
        found = await pull.member.get(CONFIG_MAPS, pull.namespace, "a")
        return found is None or found["data"] != {"k": "2"}

    await never(put_back, during=4.0)
    pull.mend()


async def test_a_hub_that_does_not_know_a_work_deletes_nothing_until_a_person_says_so(pull: Pull) -> None:
    await pull.start()
    await pull.work("w", pull.object("a", data={"k": "1"}))
    await pull.until("w")
    pull.cut()
    # The work is lost as by a restore: without its finalizer it goes at once.
    await pull.host.patch(MANIFEST_WORKS, pull.cluster, "w", {"metadata": {"finalizers": None}})
    await pull.host.delete(MANIFEST_WORKS, pull.cluster, "w")
    pull.mend()

    async def held() -> Any:
        record = await pull.record("w")
        return record and record["metadata"].get("annotations", {}).get(HELD_ANNOTATION)

    assert "nothing is deleted" in await eventually(held, within=60.0)
    await edit(pull, "a", "somebody")
    await changed_to(pull, "a", "1")
    assert pull.count("federation_agent_held_works") == 1
    record = await pull.record("w")
    assert record is not None
    annotations = {"metadata": {"annotations": {LET_GO_ANNOTATION: "true"}}}
    await pull.member.patch(APPLIED_WORKS, "", record["metadata"]["name"], annotations)
    await gone(pull.member, CONFIG_MAPS, pull.namespace, "a")
    await eventually(lambda: _absent(pull, "w"))


async def _absent(pull: Pull, work: str) -> bool:
    return await pull.record(work) is None


async def test_a_record_of_the_deletion_is_proof_enough(pull: Pull) -> None:
    await pull.start()
    made = await pull.work("w", pull.object("a"))
    await pull.until("w")
    pull.cut()
    await pull.host.patch(MANIFEST_WORKS, pull.cluster, "w", {"metadata": {"finalizers": None}})
    await pull.host.delete(MANIFEST_WORKS, pull.cluster, "w")
    await pull.work("records")
    forgotten = {"metadata": {"annotations": {"work.kubefed.io/forgotten": made["metadata"]["uid"]}}}
    await pull.host.patch(MANIFEST_WORKS, pull.cluster, "records", forgotten)
    pull.mend()
    await gone(pull.member, CONFIG_MAPS, pull.namespace, "a")


async def test_another_hub_takes_over_what_it_knows_and_holds_the_rest(pull: Pull) -> None:
    await pull.start()
    await pull.work("w", pull.object("a", data={"k": "1"}))
    await pull.work("only", pull.object("b", data={"k": "1"}))
    await pull.until("w")
    await pull.until("only")
    before = await pull.member.get(CONFIG_MAPS, pull.namespace, "a")
    await asyncio.to_thread(pull.agent.stop)
    # The other hub is m2, with an account of the same rights.
    other = Api(pull.playground.clusters["m2"])
    hub, pull.host = pull.host, other
    try:
        to_m2 = dataclasses.replace(pull.playground.clusters["m2"])
        pull.hub_config.write_bytes(access.kubeconfig([to_m2]))
        for definition in templates.work_crds(hub=True):
            await other.apply(CRDS, definition)
        await eventually(lambda: _serves_works(other))
        await other.create(NAMESPACES, {"metadata": {"name": pull.cluster}})
        await pull.work("w", pull.object("a", data={"k": "1"}))
        await pull.start()
        await pull.until("w")

        async def held() -> Any:
            records = [
                each
                for each in await pull.member.items(APPLIED_WORKS)
                if each["spec"]["agentID"] == f"{pull.agents}/{pull.cluster}"
            ]
            return {each["spec"]["manifestWorkName"] for each in records if HELD_ANNOTATION in str(each["metadata"])}

        async def settled() -> bool:
            return bool(await held() == {"only"})

        await eventually(settled)
        after = await pull.member.get(CONFIG_MAPS, pull.namespace, "a")
        assert before is not None
        assert after is not None
        assert after["metadata"]["uid"] == before["metadata"]["uid"]
        assert await pull.member.get(CONFIG_MAPS, pull.namespace, "b") is not None
        await other.delete(MANIFEST_WORKS, pull.cluster, "w")
        await pull.gone("w")
    finally:
        pull.host = hub
        await other.delete(NAMESPACES, "", pull.cluster)
        await other.connection.close()


async def _serves_works(api: Api) -> bool:
    try:
        await api.items(MANIFEST_WORKS)
    except Exception:
        return False
    return True


async def test_a_member_whose_api_server_is_away_while_the_hub_changes(pull: Pull) -> None:
    await pull.start()
    await pull.work("w", pull.object("a", data={"k": "1"}), pull.object("b"))
    await pull.until("w")
    pull.to_member.inject(Fault("refuse"))
    await pull.work("w", pull.object("a", data={"k": "2"}))
    await pull.work("new", pull.object("c", data={"k": "3"}))
    await asyncio.sleep(3.0)
    pull.to_member.clear()
    await pull.until("w", within=90.0)
    await pull.until("new", within=90.0)
    await changed_to(pull, "a", "2")
    await gone(pull.member, CONFIG_MAPS, pull.namespace, "b")


async def test_of_two_agents_one_acts_and_the_other_takes_over(pull: Pull, tmp_path: Any) -> None:
    await pull.start()
    (tmp_path / "second").mkdir()
    second = Agent(pull.hub_config, pull.member_config, pull.cluster, pull.agents, tmp_path / "second")
    await asyncio.to_thread(second.start, ready=False)
    try:
        await pull.work("w", pull.object("a", data={"k": "1"}))
        await pull.until("w")
        await asyncio.sleep(2.0)
        assert "acts for the cluster" not in second.log
        await asyncio.to_thread(pull.agent.stop)
        await pull.work("w", pull.object("a", data={"k": "2"}))
        await pull.until("w", within=60.0)
        assert "acts for the cluster" in second.log
    finally:
        second.kill()


async def test_rights_at_the_hub_end_at_the_namespace(pull: Pull, tmp_path: Any) -> None:
    """The agent follows another cluster's namespace in vain: its account's rights end at its own."""
    other = f"{pull.cluster}-other"
    await pull.host.create(NAMESPACES, {"metadata": {"name": other}})
    work = {"metadata": {"name": "w"}, "spec": {"workload": {"manifests": [pull.object("stolen")]}}}
    await pull.host.create(
        MANIFEST_WORKS, {**work, "apiVersion": MANIFEST_WORKS.api_version, "kind": "ManifestWork"}, other
    )
    (tmp_path / "thief").mkdir()
    thief = Agent(pull.hub_config, pull.member_config, other, pull.agents, tmp_path / "thief")
    await asyncio.to_thread(thief.start)
    try:

        async def refused() -> bool:
            return "cannot list resource" in thief.log

        await eventually(refused)
        stored = await pull.host.get(MANIFEST_WORKS, other, "w")
        assert stored is not None
        assert WORK_FINALIZER not in stored["metadata"].get("finalizers", [])
        assert await pull.member.get(CONFIG_MAPS, pull.namespace, "stolen") is None
    finally:
        thief.kill()
        await pull.host.delete(NAMESPACES, "", other)


async def test_a_hub_credential_that_changes_is_used_without_a_restart(pull: Pull) -> None:
    right = pull.hub_config.read_bytes()
    wrong = dataclasses.replace(pull.to_host.cluster, token="eyJ.not.valid")
    pull.hub_config.write_bytes(access.kubeconfig([wrong]))
    await pull.start(**{"federation.agent.running.CREDENTIALS": 0.5})
    await pull.work("w", pull.object("a"))

    async def refused() -> bool:
        return "Unauthorized" in pull.agent.log

    await eventually(refused)
    assert await pull.member.get(CONFIG_MAPS, pull.namespace, "a") is None
    pull.hub_config.write_bytes(right)
    await pull.until("w", within=60.0)


async def test_one_process_carries_two_memberships_and_each_has_its_costs(pull: Pull, tmp_path: Any) -> None:
    (tmp_path / "other").mkdir()
    other = Pull(pull.playground, tmp_path / "other")
    await other.set_up()
    try:
        pull.agent.others.append(other.agent)
        await pull.start()
        await pull.work("w", pull.object("a"))
        await other.work("w", other.object("a"), other.object("b"))
        await pull.until("w")
        await other.until("w")
        other.cut()
        await pull.work("w", pull.object("a", data={"k": "2"}))
        await pull.until("w")
        other.mend()
        applies = {"metric": "federation_agent_member_writes_total", "what": "apply"}
        assert pull.count(**applies, cluster=pull.cluster) == 2
        assert pull.count(**applies, cluster=other.cluster) == 2
        assert pull.count("federation_agent_works", cluster=other.cluster) == 1
        assert pull.count("rest_client_requests_total", host=f"hub/{other.cluster}") > 0
    finally:
        pull.agent.kill()
        await other.tear_down()
