"""What a work asks for of its copy, and what the copy shows by the answer: as a whole object in push mode would."""

from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.core import jsonpath, statusrules, workfeedback, workloads
from federation.model.federated import FederatedType
from federation.model.observations import Feedback
from federation.model.resources import Resource
from federation.model.statusrules import StatusCollection
from federation.model.works import Feedback as Rules
from federation.model.works import FeedbackPath, Manifest
from federation.work import feedback
from tests.unit.core.test_planning import CONFIGMAPS, DEPLOYMENTS

COLLECTED = replace(DEPLOYMENTS, collection=StatusCollection())
RAW = replace(DEPLOYMENTS, collection=StatusCollection(raw=True))
KNOWN = [
    ("apps", "Deployment", "deployments"),
    ("apps", "StatefulSet", "statefulsets"),
    ("apps", "DaemonSet", "daemonsets"),
    ("apps", "ReplicaSet", "replicasets"),
    ("batch", "Job", "jobs"),
    ("", "Pod", "pods"),
    ("", "PersistentVolumeClaim", "persistentvolumeclaims"),
    ("", "Service", "services"),
    ("apiextensions.k8s.io", "CustomResourceDefinition", "customresourcedefinitions"),
    ("example.com", "Thing", "things"),
]
RULE = statusrules.of_spec(
    {
        "healthy": [{"path": ".status.phase", "values": ["Bound", "Ready"]}, {"path": "{.status['a.b'].c}"}],
        "desired": ".spec.replicas",
        "ready": ".status.readyReplicas",
    }
)


def answer(paths: tuple[str, ...], item: Any, kind: str = "Thing") -> Feedback:
    """What an agent says of an object."""
    rules = Rules(paths=tuple(FeedbackPath(workfeedback.name(each), jsonpath.parse(each, "path")) for each in paths))
    found = feedback.values(rules, Manifest(0, "example.com", "v1", kind, "ns", "web"), item)
    manifest = {
        "conditions": [{"type": "StatusFeedbackSynced", "status": "False" if found.problem else "True"}],
        "statusFeedback": {"values": list(found.values)},
    }
    read = workfeedback.read(manifest)
    assert read is not None
    return read


numbers = st.integers(0, 3)
texts = st.sampled_from(["", "Running", "Succeeded", "Failed", "Bound", "OnDelete", "RollingUpdate", "r1", "r2"])
conditions = st.lists(
    st.fixed_dictionaries(
        {
            "type": st.sampled_from(
                ["Ready", "Available", "Stalled", "Progressing", "ReplicaFailure", "Failed", "Complete", "Established"]
            ),
            "status": st.sampled_from(["True", "False", "Unknown"]),
        },
        optional={"reason": st.sampled_from(["ProgressDeadlineExceeded", "Why"]), "message": st.just("m" * 200)},
    ),
    max_size=4,
    unique_by=lambda each: str(each["type"]),
)
items = st.fixed_dictionaries(
    {"metadata": st.fixed_dictionaries({"generation": numbers}, optional={"deletionTimestamp": st.just("2026")})},
    optional={
        "spec": st.fixed_dictionaries(
            {},
            optional={
                "replicas": numbers,
                "completions": numbers,
                "parallelism": numbers,
                "suspend": st.booleans(),
                "type": st.sampled_from(["LoadBalancer", "ClusterIP"]),
                "updateStrategy": st.fixed_dictionaries(
                    {"type": texts}, optional={"rollingUpdate": st.fixed_dictionaries({"partition": numbers})}
                ),
            },
        ),
        "status": st.fixed_dictionaries(
            {},
            optional={
                "observedGeneration": numbers,
                "phase": texts,
                "currentRevision": texts,
                "updateRevision": texts,
                "conditions": conditions,
                "loadBalancer": st.sampled_from([{}, {"ingress": []}, {"ingress": [{"ip": "10.0.0.1"}]}]),
                "a.b": st.fixed_dictionaries({"c": texts}),
                **dict.fromkeys(
                    (
                        "replicas",
                        "readyReplicas",
                        "updatedReplicas",
                        "availableReplicas",
                        "desiredNumberScheduled",
                        "numberReady",
                        "updatedNumberScheduled",
                        "numberAvailable",
                        "succeeded",
                    ),
                    numbers,
                ),
            },
        ),
    },
)


@given(items, st.sampled_from(KNOWN), st.sampled_from([None, RULE]), st.booleans())
def test_what_is_asked_for_says_what_the_whole_object_says(
    item: Any, kind: tuple[str, str, str], rule: Any, raw: bool
) -> None:
    """Also where the status is too large to be reported whole."""
    target = Resource(kind[0], "v1", kind[1], kind[2], namespaced=True)
    enabled = FederatedType(target.qualified, target, target, collection=StatusCollection(raw=raw, rule=rule))
    paths = workfeedback.asked(enabled, staged=False)
    found = workfeedback.copy(answer(paths, item), paths)
    assert found is not None
    assert workloads.unhealthy(target, found.item, rule) == workloads.unhealthy(target, item, rule)
    well = not workloads.unhealthy(target, item, rule)
    assert workloads.counts(target, found.item, rule, well=well) == workloads.counts(target, item, rule, well=well)


def test_nothing_is_asked_for_where_nobody_wants_to_know() -> None:
    assert workfeedback.asked(CONFIGMAPS, staged=False) == ()
    assert workfeedback.asked(DEPLOYMENTS, staged=False) == ()
    assert workfeedback.WHOLE not in workfeedback.asked(COLLECTED, staged=False)
    assert workfeedback.WHOLE in workfeedback.asked(COLLECTED, staged=True)
    assert ".status.readyReplicas" in workfeedback.asked(DEPLOYMENTS, staged=True)


STATUS = {"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2}
DONE = {"metadata": {"generation": 1}, "spec": {"replicas": 2}, "status": STATUS}


def test_a_status_is_collected() -> None:
    found = workfeedback.collect(answer(workfeedback.asked(RAW, staged=False), DONE), 7, RAW, staged=False)
    assert found is not None
    assert (found.version, found.desired, found.ready, found.updated, found.unhealthy) == (7, 2, 2, 2, "")
    assert found.raw is not None
    assert orjson.loads(bytes(found.raw)) == STATUS


def test_one_that_is_too_large_is_left_out_and_says_so_and_its_health_is_known() -> None:
    large = {**DONE, "status": {**STATUS, "more": "x" * 2000}}
    found = workfeedback.collect(answer(workfeedback.asked(RAW, staged=False), large), 7, RAW, staged=False)
    assert found is not None
    assert (found.ready, found.unhealthy, found.raw) == (2, "", None)
    assert "1024 bytes" in found.left_out


def test_what_an_agent_could_not_report_is_not_known() -> None:
    """Of a value that a rule reads, and not of the whole status alone."""
    rule = statusrules.of_spec({"healthy": [{"path": ".status.parts"}]})
    enabled = replace(DEPLOYMENTS, collection=StatusCollection(rule=rule))
    large = {"metadata": {}, "status": {"parts": {"x": "y" * 2000}}}
    assert (
        workfeedback.collect(answer(workfeedback.asked(enabled, staged=False), large), 7, enabled, staged=False) is None
    )


@pytest.mark.parametrize(
    "manifest",
    [
        {},
        {"conditions": [{"type": "Applied", "status": "True"}]},
        {"conditions": "none"},
    ],
)
def test_without_an_answer_nothing_is_known(manifest: Any) -> None:
    assert workfeedback.read(manifest) is None


@pytest.mark.parametrize(
    "values",
    [
        3,
        [None, 3, {}, {"name": 3, "fieldValue": {"type": "String", "string": "x"}}],
        [{"name": "status", "fieldValue": {"type": "JsonRaw", "jsonRaw": "{"}}],
        [{"name": "status", "fieldValue": {"type": "JsonRaw", "jsonRaw": "[" * 600 + "]" * 600}}],
        [{"name": "status", "fieldValue": {"type": "String", "string": "x" * 100_000}}],
        [{"name": "status", "fieldValue": {"type": "Whatever", "string": "x"}}],
    ],
)
def test_nonsense_is_no_value(values: Any) -> None:
    manifest = {
        "conditions": [{"type": "StatusFeedbackSynced", "status": "True"}],
        "statusFeedback": {"values": values},
    }
    assert workfeedback.read(manifest) == Feedback(b"{}")
