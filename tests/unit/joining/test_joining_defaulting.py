"""The defaults that the host's API server writes into a KubeFedConfig are KubeFed's, and mean what absence does."""

from dataclasses import replace

from federation.core import configuration
from federation.joining import defaulting
from federation.model.settings import Settings


def test_they_mean_what_absent_fields_mean_but_for_the_number_of_reconciles() -> None:
    written = configuration.settings({**defaulting.DEFAULTS, "featureGates": list(defaulting.GATES)})
    own = Settings()
    assert (written.sync_concurrency, written.status_concurrency) == (1, 1)
    same = replace(written, sync_concurrency=own.sync_concurrency, status_concurrency=own.status_concurrency)
    assert same == own


def test_each_gate_is_added_where_it_is_missing_and_kept_where_it_is_there() -> None:
    policy, binding = defaulting.manifests()
    assert binding["spec"]["policyName"] == policy["metadata"]["name"]
    (rule,) = policy["spec"]["matchConstraints"]["resourceRules"]
    assert (rule["resources"], rule["operations"]) == (["kubefedconfigs"], ["CREATE"])
    (mutation,) = policy["spec"]["mutations"]
    expression = mutation["jsonPatch"]["expression"]
    for gate in defaulting.GATES:
        assert f'each.name == "{gate["name"]}"' in expression
    for section, fields in defaulting.DEFAULTS.items():
        for field in fields:
            assert f'path: "/spec/{section}/{field}"' in expression
