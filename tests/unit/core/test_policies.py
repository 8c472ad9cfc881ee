"""Policies: strictly read, and the object's word goes before its type's and that before everybody's."""

from dataclasses import replace
from itertools import product
from typing import Any

import msgspec
import pytest
from hypothesis import given

from federation.core import configuration, parsing, planning, policies
from federation.core.facts import Facts
from federation.model import marks
from federation.model.conditions import PropagationStatus, Reason
from federation.model.errors import Invalid
from federation.model.observations import Observed
from federation.model.plan import Apply, Compare, Delete, Refuse, Release, Wait
from federation.model.policies import DEFAULT, NOTHING_SAID, Deletion, Drift, InForce, Policies, Takeover
from tests.unit.core.test_planning import APPLIED, CONFIGMAPS, OURS, any_facts, facts, federated


def test_nothing_said_is_as_kubefed_did_it() -> None:
    assert policies.in_force({}, NOTHING_SAID, NOTHING_SAID) is DEFAULT
    assert InForce(Takeover.ALWAYS, Drift.CORRECT, Deletion.DELETE, ()) == DEFAULT
    assert policies.of_spec(None) is configuration.settings({}).policies is NOTHING_SAID


WORDS = [None, *(each.value for each in Takeover)]


@pytest.mark.parametrize(("own", "of_type", "of_all"), list(product(WORDS, WORDS, WORDS)))
def test_object_over_type_over_all(own: str | None, of_type: str | None, of_all: str | None) -> None:
    annotations = {} if own is None else {marks.TAKEOVER_ANNOTATION: own}
    places = [policies.of_spec({"takeover": each}) for each in (of_type, of_all)]
    assert policies.in_force(annotations, *places).takeover == (own or of_type or of_all or "Always")


def test_each_policy_is_looked_for_by_itself() -> None:
    annotations = {marks.DRIFT_ANNOTATION: "Correct", marks.IGNORE_FIELDS_ANNOTATION: "[]"}
    of_type = policies.of_spec({"drift": "Report", "deletion": "Orphan", "ignoreFields": ["/spec/replicas"]})
    of_all = policies.of_spec({"takeover": "Never", "deletion": "Delete", "ignoreFields": ["/data/a"]})
    assert policies.in_force(annotations, of_type, of_all) == InForce(Takeover.NEVER, Drift.CORRECT, Deletion.ORPHAN)
    assert policies.in_force({}, of_type, of_all).ignored == (("spec", "replicas"),), "a list goes as a whole"
    assert policies.deletion(annotations, of_type, of_all) is Deletion.ORPHAN
    assert policies.deletion({marks.DELETION_ANNOTATION: "Delete"}, of_type, of_all) is Deletion.DELETE


@pytest.mark.parametrize(
    ("annotation", "value", "says"),
    [
        pytest.param(marks.TAKEOVER_ANNOTATION, "never", 'one of Always, IfNoDiff, Never, not "never"', id="case"),
        pytest.param(marks.TAKEOVER_ANNOTATION, "", "is required", id="empty"),
        pytest.param(marks.DRIFT_ANNOTATION, "Ignore", "one of Correct, Report", id="no-such-word"),
        pytest.param(marks.DELETION_ANNOTATION, "true", "one of Delete, Orphan", id="true"),
        pytest.param(marks.IGNORE_FIELDS_ANNOTATION, "/spec/replicas", "a JSON list", id="no-list"),
        pytest.param(marks.IGNORE_FIELDS_ANNOTATION, '{"a": 1}', "a JSON list", id="a-map"),
        pytest.param(marks.IGNORE_FIELDS_ANNOTATION, "[7]", "must be a string, not a number", id="a-number"),
        pytest.param(marks.IGNORE_FIELDS_ANNOTATION, '["spec"]', "start it with /", id="no-pointer"),
        pytest.param(marks.IGNORE_FIELDS_ANNOTATION, '["/"]', "must name a field", id="the-whole-object"),
        pytest.param(marks.IGNORE_FIELDS_ANNOTATION, '["/spec/"]', "must name a field", id="no-name"),
        pytest.param(marks.IGNORE_FIELDS_ANNOTATION, '["/spec/list/-"]', "must name a field", id="past-the-end"),
        pytest.param(marks.IGNORE_FIELDS_ANNOTATION, '["/a~2b"]', "write ~ as ~0", id="a-wrong-escape"),
        pytest.param(marks.IGNORE_FIELDS_ANNOTATION, '["/kind"]', "says which object this is", id="kind"),
        pytest.param(marks.IGNORE_FIELDS_ANNOTATION, '["/metadata"]', "says which object this is", id="metadata"),
        pytest.param(marks.IGNORE_FIELDS_ANNOTATION, '["/metadata/name"]', "says which object this is", id="name"),
        pytest.param(marks.IGNORE_FIELDS_ANNOTATION, '["/metadata/labels"]', marks.MANAGED_LABEL, id="all-labels"),
        pytest.param(
            marks.IGNORE_FIELDS_ANNOTATION,
            '["/metadata/labels/kubefed.io~1managed"]',
            "is known to be ours",
            id="label",
        ),
        pytest.param(marks.IGNORE_FIELDS_ANNOTATION, '["/status/phase"]', "is never pushed", id="status"),
    ],
)
def test_what_is_not_understood_is_invalid_and_touches_nothing(annotation: str, value: str, says: str) -> None:
    plan = planning.plan(facts(federated(annotations={annotation: value}), observed=OURS, applied=APPLIED))
    assert plan.reason is Reason.INVALID
    assert plan.message.startswith(f"metadata.annotations[{annotation}]")
    assert says in plan.message
    assert plan.actions == {"m1": Wait(PropagationStatus.COMPUTE_RESOURCE_FAILED, plan.message)}


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        pytest.param({"takeover": "Sometimes"}, "spec.policies.takeover", id="word"),
        pytest.param({"drift": 7}, "spec.policies.drift", id="number"),
        pytest.param({"ignoreFields": "/a"}, "spec.policies.ignoreFields", id="no-list"),
        pytest.param({"ignoreFields": ["/a", "b"]}, "spec.policies.ignoreFields[1]", id="pointer"),
        pytest.param({"ignoreFields": ["/a"] * 65}, "spec.policies.ignoreFields", id="too-many"),
        pytest.param({"ignore": []}, "spec.policies.ignore", id="unknown"),
        pytest.param([], "spec.policies", id="a-list"),
    ],
)
def test_types_and_settings_are_read_as_strictly(spec: Any, field: str) -> None:
    with pytest.raises(Invalid) as caught:
        configuration.settings({"policies": spec})
    assert caught.value.field == field
    target = {"version": "v1", "kind": "ConfigMap", "scope": "Namespaced"}
    config = {
        "metadata": {"name": "configmaps"},
        "spec": {
            "targetType": target,
            "federatedType": {**target, "group": "types.kubefed.io", "kind": "FederatedConfigMap"},
            "policies": spec,
        },
    }
    with pytest.raises(Invalid) as caught:
        configuration.type_config(config)
    assert caught.value.field == field
    config["spec"]["policies"] = {"deletion": "Orphan"}
    assert configuration.type_config(config).policies == Policies(deletion=Deletion.ORPHAN)


def test_a_pointer_is_unescaped_and_what_lies_below_another_goes_with_it() -> None:
    read = policies.of_spec({"ignoreFields": ["/metadata/annotations/a~1b~0c", "/spec/x", "/spec", "/spec/x"]})
    assert read.ignore_fields == (("metadata", "annotations", "a/b~c"), ("spec",))


@pytest.mark.parametrize(
    ("adopt", "annotations", "create_only", "takeover"),
    [
        pytest.param(True, {}, False, Takeover.ALWAYS, id="default"),
        pytest.param(True, {marks.TAKEOVER_ANNOTATION: "Never"}, True, Takeover.NEVER, id="never"),
        pytest.param(True, {marks.TAKEOVER_ANNOTATION: "IfNoDiff"}, True, Takeover.IF_NO_DIFF, id="if-no-diff"),
        pytest.param(False, {}, True, Takeover.ALWAYS, id="adoption-disabled"),
        pytest.param(
            False, {marks.TAKEOVER_ANNOTATION: "IfNoDiff"}, True, Takeover.ALWAYS, id="adoption-disabled-is-the-limit"
        ),
    ],
)
def test_takeover(adopt: bool, annotations: dict[str, str], create_only: bool, takeover: Takeover) -> None:
    action = planning.plan(facts(federated(annotations=annotations), adopt=adopt)).actions["m1"]
    assert isinstance(action, Apply)
    assert (action.create_only, action.takeover) == (create_only, takeover)


REPORT = {marks.DRIFT_ANNOTATION: "Report"}
ORPHAN = {marks.DELETION_ANNOTATION: "Orphan"}


@pytest.mark.parametrize(
    ("annotations", "of_all", "leaving", "deleted"),
    [
        pytest.param({}, None, Delete("u1"), Delete("u1"), id="default"),
        pytest.param(ORPHAN, None, Release("u1"), Release("u1"), id="orphan"),
        pytest.param({}, "Orphan", Release("u1"), Release("u1"), id="orphan-for-all"),
        pytest.param(
            {marks.DELETION_ANNOTATION: "Delete"}, "Orphan", Delete("u1"), Delete("u1"), id="but-not-this-one"
        ),
        pytest.param(
            {marks.ORPHAN_ANNOTATION: "true"}, None, Delete("u1"), Release("u1"), id="kubefeds-is-of-deletion"
        ),
        pytest.param(
            {marks.ORPHAN_ANNOTATION: "true", marks.DELETION_ANNOTATION: "Delete"},
            None,
            Delete("u1"),
            Release("u1"),
            id="what-keeps-more-wins",
        ),
        pytest.param({**ORPHAN, marks.DELETE_OPTION_ANNOTATION: "{"}, None, Release("u1"), Release("u1"), id="options"),
        pytest.param(
            {**ORPHAN, marks.DELETE_ADOPTED_ANNOTATION: "true"}, None, Release("u1"), Release("u1"), id="delete-adopted"
        ),
    ],
)
def test_deletion(annotations: dict[str, str], of_all: str | None, leaving: object, deleted: object) -> None:
    everywhere = policies.of_spec({"deletion": of_all})
    item = federated(clusters=[], annotations=annotations)
    assert planning.plan(facts(item, observed=OURS, applied=APPLIED, policies=everywhere)).actions == {"m1": leaving}
    item = federated(deleting=True, annotations=annotations)
    assert planning.plan(facts(item, observed=OURS, applied=APPLIED, policies=everywhere)).actions == {"m1": deleted}


def test_a_deletion_policy_that_is_wrong_deletes_nothing_and_any_other_holds_no_deletion() -> None:
    wrong = {marks.DELETION_ANNOTATION: "Keep"}
    action = planning.plan(facts(federated(deleting=True, annotations=wrong), observed=OURS)).actions["m1"]
    assert isinstance(action, Refuse)
    assert action.status is PropagationStatus.DELETION_FAILED
    assert action.message.startswith(f"metadata.annotations[{marks.DELETION_ANNOTATION}]: must be one of")
    other = federated(deleting=True, annotations={marks.DRIFT_ANNOTATION: "Never"})
    assert planning.plan(facts(other, observed=OURS)).actions == {"m1": Delete("u1")}


def test_policies_do_not_travel() -> None:
    keys = (
        marks.TAKEOVER_ANNOTATION,
        marks.DRIFT_ANNOTATION,
        marks.DELETION_ANNOTATION,
        marks.IGNORE_FIELDS_ANNOTATION,
    )
    template = {"metadata": {"annotations": dict.fromkeys((*keys, "mine"), "x")}}
    action = planning.plan(facts(federated(template))).actions["m1"]
    assert isinstance(action, Apply)
    assert not any(key.encode() in action.body for key in keys)
    assert b'"mine"' in action.body


def test_identity_is_what_no_override_may_have_either() -> None:
    for path in parsing.IDENTITY_PATHS:
        with pytest.raises(Invalid):
            policies.pointer(path, "f")
    assert policies.pointer("/spec/replicas", "f") == ("spec", "replicas")
    assert CONFIGMAPS.policies is NOTHING_SAID


@given(any_facts())
def test_report_writes_only_what_is_new(given_facts: Facts) -> None:
    """For all facts: where the cluster was given this very manifest, no plan changes or creates anything there."""
    meta = given_facts.object.metadata
    item = msgspec.structs.replace(
        given_facts.object, metadata=msgspec.structs.replace(meta, annotations=meta.annotations | REPORT)
    )
    corrected, reported = planning.plan(given_facts), planning.plan(replace(given_facts, object=item))
    assert reported.actions.keys() == corrected.actions.keys()
    for name, action in reported.actions.items():
        applied, before = given_facts.applied.get(name), corrected.actions[name]
        if isinstance(action, Apply):
            assert action == before
            assert applied is None or applied.digest != action.digest or _claimed(given_facts, name)
        elif action != before:
            assert isinstance(before, Apply)
            assert isinstance(action, Compare) or (isinstance(action, Wait) and action.status.value == "Drifted")
            assert applied is not None
            assert applied.digest == before.digest


def _claimed(given_facts: Facts, name: str) -> bool:
    """Our own claim is on what we have: an apply of what is there takes it back."""
    observed, applied = given_facts.observe(name), given_facts.applied[name]
    return isinstance(observed, Observed) and observed.claimed and applied.shown_by(observed)
