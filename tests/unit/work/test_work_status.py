"""What is reported of a work, in Open Cluster Management's words."""

from typing import Any

import orjson

from federation.work import feedback, parsing, status
from federation.work.feedback import Values
from federation.work.status import APPLIED_OK, AVAILABLE_OK, MISSING, Outcome

NOW = 1_800_000_000.0


def work(kind: str = "Deployment", api_version: str = "apps/v1", **config: Any) -> Any:
    item = {"apiVersion": api_version, "kind": kind, "metadata": {"name": "x", "namespace": "n"}}
    plural = {"Deployment": "deployments", "Job": "jobs", "Pod": "pods", "Secret": "secrets"}[kind]
    group = api_version.rpartition("/")[0]
    entry = {"resourceIdentifier": {"group": group, "resource": plural, "namespace": "n", "name": "x"}, **config}
    spec = {"workload": {"manifests": [item]}, "manifestConfigs": [entry]}
    return parsing.read("w", orjson.dumps(spec), generation=4)


def options(of: Any) -> Any:
    (only,) = of.options.values()
    assert only.problem == ""
    return only


def outcome(**changed: Any) -> Outcome:
    facts: dict[str, Any] = {"applied": APPLIED_OK, "available": AVAILABLE_OK}
    return Outcome(0, "apps", "v1", "Deployment", "deployments", "n", "x", **(facts | changed))


def condition(of: Any, name: str) -> Any:
    return next(each for each in of["conditions"] if each["type"] == name)


def test_all_applied_and_available() -> None:
    found: Any = status.of(work(), [outcome()], {}, NOW)
    assert condition(found, "Applied") == {
        "type": "Applied",
        "status": "True",
        "reason": "AppliedManifestWorkComplete",
        "message": "Apply manifest work complete",
        "observedGeneration": 4,
        "lastTransitionTime": "2027-01-15T08:00:00Z",
    }
    assert condition(found, "Available")["reason"] == "ResourcesAvailable"
    manifest = found["resourceStatus"]["manifests"][0]
    assert manifest["resourceMeta"]["resource"] == "deployments"
    assert condition(manifest, "Applied")["reason"] == "AppliedManifestComplete"
    assert condition(manifest, "Available")["reason"] == "ResourceAvailable"


def test_nothing_is_written_where_nothing_has_changed_and_times_move_with_the_status() -> None:
    before: Any = status.of(work(), [outcome()], {}, NOW)
    assert status.of(work(), [outcome()], before, NOW + 100) is None
    after: Any = status.of(work(), [outcome(available=MISSING)], before, NOW + 100)
    assert condition(after, "Applied")["lastTransitionTime"] == condition(before, "Applied")["lastTransitionTime"]
    assert condition(after, "Available")["lastTransitionTime"] == "2027-01-15T08:01:40Z"
    assert condition(after, "Available")["reason"] == "ResourcesNotAvailable"


def test_one_that_failed_makes_the_work_fail() -> None:
    found: Any = status.of(work(), [outcome(), outcome(applied=status.failed("no", "ApplyConflict"))], {}, NOW)
    assert condition(found, "Applied")["reason"] == "AppliedManifestWorkFailed"
    assert condition(found["resourceStatus"]["manifests"][1], "Applied")["reason"] == "ApplyConflict"


def test_deleting_is_said() -> None:
    found: Any = status.of(work(), [outcome()], {}, NOW, deleting=True)
    assert condition(found, "Deleting")["status"] == "True"


def test_well_known_values_of_a_deployment() -> None:
    wanted = work(feedbackRules=[{"type": "WellKnownStatus"}])
    item = {"status": {"readyReplicas": 2, "replicas": 3}}
    found = feedback.values(options(wanted).feedback, wanted.manifests[0], item)
    assert found.problem == ""
    assert list(found.values) == [
        {"name": "ReadyReplicas", "fieldValue": {"type": "Integer", "integer": 2}},
        {"name": "Replicas", "fieldValue": {"type": "Integer", "integer": 3}},
    ]


def test_values_at_paths_of_every_type_and_of_bounded_size() -> None:
    paths = [{"name": name, "path": f".status.{name}"} for name in ("text", "yes", "map", "large", "real", "missing")]
    wanted = work(feedbackRules=[{"type": "JSONPaths", "jsonPaths": paths}])
    item = {"status": {"text": "a", "yes": True, "map": {"k": [1]}, "large": ["x" * 1_024], "real": 1.5}}
    found = feedback.values(options(wanted).feedback, wanted.manifests[0], item)
    assert {each["name"]: each["fieldValue"] for each in found.values} == {
        "text": {"type": "String", "string": "a"},
        "yes": {"type": "Boolean", "boolean": True},
        "map": {"type": "JsonRaw", "jsonRaw": '{"k":[1]}'},
    }
    assert "large" in found.problem
    assert "real" in found.problem
    told: Any = status.of(wanted, [outcome(values=found)], {}, NOW)
    said = condition(told["resourceStatus"]["manifests"][0], "StatusFeedbackSynced")
    assert (said["status"], said["reason"]) == ("False", "StatusFeedbackSyncFailed")


def test_nothing_of_a_secret_is_reported() -> None:
    rules = [{"type": "JSONPaths", "jsonPaths": [{"name": "p", "path": ".data.password"}]}]
    wanted = work("Secret", "v1", feedbackRules=rules)
    found = feedback.values(options(wanted).feedback, wanted.manifests[0], {"data": {"password": "aHVudGVyMg=="}})
    assert found == Values((), "nothing of a Secret is reported")


def test_completion_of_a_job_and_when_its_work_expires() -> None:
    wanted = work("Job", "batch/v1", conditionRules=[{"type": "WellKnownConditions", "condition": "Complete"}])
    rules = options(wanted).rules
    running = feedback.conditions(rules, wanted.manifests[0], {"status": {}}, 10)
    assert (running[0].condition, running[0].status) == ("Complete", "False")
    item = {"status": {"conditions": [{"type": "Complete", "status": "True"}]}}
    done = feedback.conditions(rules, wanted.manifests[0], item, 10)
    found: Any = status.of(wanted, [outcome(evaluated=done)], {}, NOW)
    assert condition(found, "Complete")["reason"] == "ConditionRulesAggregated"
    assert status.is_complete(found)
    assert status.completed(found) == {("apps", "Deployment", "n", "x")}
    limited = parsing.read("w", orjson.dumps({"deleteOption": {"ttlSecondsAfterFinished": 60}}))
    assert status.expires(limited, found) == NOW + 60
    assert status.expires(wanted, found) is None


def test_conditions_by_cel_with_a_message() -> None:
    rule = {
        "type": "CEL",
        "condition": "Progressing",
        "celExpressions": ["object.status.n > 1"],
        "messageExpression": '"n is " + string(object.status.n)',
    }
    wanted = work(conditionRules=[rule])
    rules = options(wanted).rules
    true = feedback.conditions(rules, wanted.manifests[0], {"status": {"n": 2}}, 10)[0]
    assert (true.status, true.reason, true.message) == ("True", "ConditionRuleEvaluated", "n is 2")
    false = feedback.conditions(rules, wanted.manifests[0], {"status": {"n": 1}}, 10)[0]
    assert (false.status, false.reason) == ("False", "ConditionRuleEvaluated")
    wrong = feedback.conditions(rules, wanted.manifests[0], {"status": {}}, 10)[0]
    assert (wrong.status, wrong.reason) == ("False", "ConditionRuleExpressionError")


def test_conditions_of_others_stay_and_those_of_rules_that_are_no_more_go() -> None:
    others = {"type": "Expected", "status": "True", "reason": "Somebody", "message": ""}
    old = {"type": "Complete", "status": "True", "reason": "ConditionRulesAggregated", "message": ""}
    found: Any = status.of(work(), [outcome()], {"conditions": [others, old]}, NOW)
    assert [each["type"] for each in found["conditions"]] == ["Applied", "Available", "Expected"]
