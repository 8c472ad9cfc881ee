"""A member whose admission rewrites what is asked for: managedFields do not show it, the answer to the apply does."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from federation.controllers import push
from federation.controllers.outcomes import Outcome, Target
from federation.core import drops, manifest
from federation.kube.connection import expect
from federation.model.conditions import PropagationStatus
from federation.model.plan import Apply
from federation.model.resources import SECRETS, Resource
from federation.playground.access import LocalCluster
from tests.contract.worlds import CONFIGMAPS, DEPLOYMENTS, RealWorld
from tests.fakes import proven

pytestmark = pytest.mark.clusters

GROUP = "admissionregistration.k8s.io"
POLICIES = Resource(GROUP, "v1", "MutatingAdmissionPolicy", "mutatingadmissionpolicies", namespaced=False)
BINDINGS = Resource(GROUP, "v1", "MutatingAdmissionPolicyBinding", "mutatingadmissionpolicybindings", namespaced=False)


class Mirror(RealWorld):
    """It sets another registry, and another value of data."""

    async def rewrite(self, resource: Resource, path: str, value: str) -> None:
        mutation = f'[JSONPatch{{op: "replace", path: "{path}", value: {value}}}]'
        rules = [{"apiGroups": [resource.group], "apiVersions": ["v1"], "resources": [resource.plural]}]
        rules[0]["operations"] = ["CREATE", "UPDATE"]
        there = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": self.namespace}}}
        name = f"{self.namespace}-{resource.plural}"
        policy = {
            "metadata": {"name": name},
            "spec": {
                "matchConstraints": {"resourceRules": rules, **there},
                "reinvocationPolicy": "Never",
                "failurePolicy": "Fail",
                "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": mutation}}],
            },
        }
        await self._post(POLICIES, policy)
        await self._post(BINDINGS, {"metadata": {"name": name}, "spec": {"policyName": name}})

    async def _post(self, resource: Resource, body: Any) -> None:
        expect(await self.connection.request("POST", resource.collection(), body=orjson.dumps(body)), resource.plural)

    async def pushed(self, resource: Resource, uid: str = "", **content: Any) -> Outcome:
        body, digest = manifest.digest(self.body(resource, **content))
        action = Apply(body, digest, resource.api_version, uid=uid, changed=bool(uid))
        outcome = await push.carry_out(action, Target(self.member, resource, self.where, prove=proven))
        assert (outcome.status, outcome.message) == (PropagationStatus.OK, "")
        return outcome

    async def until_rewritten(self, resource: Resource, **content: Any) -> Outcome:
        """Policies come into force a moment after they are made."""
        async with asyncio.timeout(30.0):
            while True:
                outcome = await self.pushed(resource, **content)
                if outcome.dropped:
                    return outcome
                await self.remove(resource)


@pytest.fixture
async def real(server: LocalCluster) -> AsyncIterator[Mirror]:
    async with Mirror(server) as real:
        yield real


def pods(image: str) -> dict[str, Any]:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": image}]}}
    return {"selector": {"matchLabels": {"a": "b"}}, "template": template, "replicas": 0}


async def test_an_image_that_is_rewritten_is_told(real: Mirror) -> None:
    image = "/spec/template/spec/containers/0/image"
    await real.rewrite(DEPLOYMENTS, image, '"mirror/" + object.spec.template.spec.containers[0].image')
    outcome = await real.until_rewritten(DEPLOYMENTS, spec=pods("web:1"))
    said = (
        f"{drops.CHANGES}.spec.template.spec.containers[].image than asked for: a policy or webhook there changes them"
    )
    assert outcome.dropped == said
    assert outcome.metadata is not None
    again = await real.pushed(DEPLOYMENTS, outcome.metadata.uid, spec=pods("web:latest"))
    assert again.dropped == said
    found = await real.value(DEPLOYMENTS, "spec", "template", "spec")
    assert (found["containers"][0]["image"], found["containers"][0]["imagePullPolicy"]) == (
        "mirror/web:latest",
        "Always",
    )


@pytest.mark.parametrize("resource", [CONFIGMAPS, SECRETS], ids=["configmap", "secret"])
async def test_data_that_is_rewritten_is_told_by_its_key(real: Mirror, resource: Resource) -> None:
    await real.rewrite(resource, "/data/password", '"b3RoZXI="')
    outcome = await real.until_rewritten(resource, data={"password": "aHVudGVyMg=="})
    assert outcome.dropped == f"{drops.CHANGES}.data.password than asked for: a policy or webhook there changes them"
