"""What is reported of a work, in Open Cluster Management's words."""

from typing import Any

import orjson

from federation.model.works import Identifier
from federation.work import feedback, parsing, status
from federation.work.feedback import EVALUATED, Evaluated, Values
from federation.work.status import APPLIED_OK, AVAILABLE_OK, MISSING, NOTHING_RAN, Outcome, Run

NOW = 1_800_000_000.0
X = ("apps", "Deployment", "n", "x")


def work(kind: str = "Deployment", api_version: str = "apps/v1", **config: Any) -> Any:
    item = {"apiVersion": api_version, "kind": kind, "metadata": {"name": "x", "namespace": "n"}}
    plural = f"{kind.lower()}s"
    group = api_version.rpartition("/")[0]
    entry = {"resourceIdentifier": {"group": group, "resource": plural, "namespace": "n", "name": "x"}, **config}
    spec = {"workload": {"manifests": [item]}, "manifestConfigs": [entry]}
    return parsing.read("w", orjson.dumps(spec), generation=4)


def options(of: Any) -> Any:
    (manifest,) = of.manifests
    found = of.options_for(Identifier(manifest.group, f"{manifest.kind.lower()}s", "n", "x"))
    assert found.problem == ""
    return found


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
    said = condition(found, "Deleting")
    assert (said["status"], said["reason"]) == ("True", "WorkDeleting")


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
    assert status.run(found) == status.ran([outcome(evaluated=done)]) == Run(frozenset({X}), finished=True)
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


def test_well_known_values_of_a_daemon_set() -> None:
    wanted = work("DaemonSet", feedbackRules=[{"type": "WellKnownStatus"}])
    item = {"status": {"numberReady": 1, "desiredNumberScheduled": 2, "numberAvailable": 1}}
    found = feedback.values(options(wanted).feedback, wanted.manifests[0], item)
    assert [each["name"] for each in found.values] == ["NumberReady", "DesiredNumberScheduled", "NumberAvailable"]


def test_a_path_that_cannot_be_followed_is_a_problem_of_the_feedback_alone() -> None:
    paths = [
        {"name": "all", "path": ".status.items[*].x"},
        {"name": "old", "path": ".status.n", "version": "v1beta1"},
        {"name": "n", "path": ".status.n", "version": "v1"},
    ]
    wanted = work(feedbackRules=[{"type": "JSONPaths", "jsonPaths": paths}])
    found = feedback.values(options(wanted).feedback, wanted.manifests[0], {"status": {"n": 1}})
    assert [each["name"] for each in found.values] == ["n"]
    assert "is not a JSON path" in found.problem
    assert "old: is asked for in version v1beta1" in found.problem


def test_the_time_of_the_feedback_is_that_of_its_values() -> None:
    def told(number: int, before: Any, now: float) -> Any:
        values = Values(({"name": "n", "fieldValue": {"type": "Integer", "integer": number}},))
        return status.of(work(), [outcome(values=values)], before, now)

    first = told(1, {}, NOW)
    assert told(1, first, NOW + 100) is None
    (manifest,) = told(2, first, NOW + 100)["resourceStatus"]["manifests"]
    assert condition(manifest, "StatusFeedbackSynced")["lastTransitionTime"] == "2027-01-15T08:01:40Z"
    assert condition(manifest, "Applied")["lastTransitionTime"] == "2027-01-15T08:00:00Z"


def test_a_well_known_condition_that_a_kind_does_not_have_is_none() -> None:
    rules = [{"type": "WellKnownConditions", "condition": each} for each in ("Complete", "Other")]
    assert feedback.conditions(options(work(conditionRules=rules)).rules, work().manifests[0], {}, 10) == ()
    of_job = work("Job", "batch/v1", conditionRules=rules)
    found = feedback.conditions(options(of_job).rules, of_job.manifests[0], {}, 10)
    assert [each.condition for each in found] == ["Complete"]


def test_conditions_of_several_manifests_as_one() -> None:
    def said(kind: str, *statuses: str) -> Any:
        outcomes = [outcome(evaluated=(Evaluated(kind, each, EVALUATED, f"is {each}"),)) for each in statuses]
        found = condition(status.of(work(), outcomes, {}, NOW), kind)
        return found["status"], found["message"]

    assert said("Healthy", "True") == ("True", "is True")
    assert said("Healthy", "True", "Unknown") == ("Unknown", "Aggregated from 2 manifest conditions")
    assert said("Healthy", "True", "Unknown", "False")[0] == "False"
    assert said("Progressing", "True", "False")[0] == "True"
    assert said("Progressing", "Unknown", "False")[0] == "Unknown"


def test_what_has_run_has_run_though_the_object_is_gone() -> None:
    done = Evaluated("Complete", "True", EVALUATED, "Job is finished")
    before: Any = status.of(work(), [outcome(evaluated=(done,))], {}, NOW)
    rules = ["Complete", "Other"]
    assert status.carried(X, rules, before, NOTHING_RAN) == (done,)
    # A hub that was restored has forgotten it; the member has not.
    (kept,) = status.carried(X, rules, {}, Run(frozenset({X})))
    assert (kept.condition, kept.status, kept.reason) == ("Complete", "True", EVALUATED)
    assert status.carried(X, ["Other"], before, NOTHING_RAN) == ()


def test_of_a_work_that_has_run_nothing_new_is_said_to_be_applied() -> None:
    done = Evaluated("Complete", "True", EVALUATED, "Job is finished")
    before: Any = status.of(work(), [outcome(evaluated=(done,))], {}, NOW)
    newer = parsing.read("w", b"{}", generation=5)
    found: Any = status.of(newer, [outcome(evaluated=(done,))], before, NOW, frozen=True)
    for conditions in (found, found["resourceStatus"]["manifests"][0]):
        assert condition(conditions, "Applied")["observedGeneration"] == 4
        assert condition(conditions, "Complete")["observedGeneration"] == 5
