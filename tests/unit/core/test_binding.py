"""A stored credential goes to the place that it was stored for: what counts as another, and what is said of it."""

import base64
import json
from typing import Any

import pytest

from federation.core import binding
from federation.model.resources import ObjectName

SYSTEM = "kube-federation-system"
SPEC: dict[str, Any] = {"apiEndpoint": "https://east:6443", "caBundle": "Q0E=", "secretRef": {"name": "east"}}


def bound(**more: Any) -> dict[str, str]:
    return {binding.ANNOTATION: binding.record({**SPEC, **more}), binding.CLUSTER_ANNOTATION: "east"}


def mismatch(name: str, spec: dict[str, Any], annotations: dict[str, str], **more: Any) -> str:
    return binding.mismatch(name, spec, binding.Credentials(ObjectName(SYSTEM, "east-x7k2p"), annotations, **more))


def account_token(account: str, namespace: str = SYSTEM) -> str:
    payload = json.dumps({"iss": "kubernetes/serviceaccount", "sub": f"system:serviceaccount:{namespace}:{account}"})
    return f"e30.{base64.urlsafe_b64encode(payload.encode()).decode().rstrip('=')}.c2ln"


def data(**texts: str) -> dict[str, str]:
    return {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param(SPEC, id="the-same"),
        pytest.param({**SPEC, "apiEndpoint": "https://east:6443/"}, id="a-slash"),
        pytest.param({**SPEC, "secretRef": {"name": "other"}, "new": 1}, id="fields-that-lead-nowhere"),
        pytest.param({**SPEC, "proxyURL": "", "disabledTLSValidations": []}, id="empty-is-absent"),
    ],
)
def test_the_same_place(spec: dict[str, Any]) -> None:
    assert mismatch("east", spec, bound()) == ""


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        pytest.param(
            {"apiEndpoint": "https://evil"}, "apiEndpoint is https://evil, not https://east:6443", id="endpoint"
        ),
        pytest.param({"apiEndpoint": "HTTPS://EVIL"}, "apiEndpoint is HTTPS://EVIL", id="capitals"),
        pytest.param({"apiEndpoint": None}, "apiEndpoint is empty", id="no-endpoint"),
        pytest.param({"caBundle": "RVZJTA=="}, "caBundle is another", id="ca"),
        pytest.param({"caBundle": ""}, "caBundle is gone", id="no-ca"),
        pytest.param({"proxyURL": "http://user:hunter2@evil"}, "proxyURL is new", id="proxy"),
        pytest.param({"disabledTLSValidations": ["*"]}, "disabledTLSValidations is *, not empty", id="tls"),
    ],
)
def test_another_place_is_named_and_how_to_confirm_it(changed: dict[str, Any], says: str) -> None:
    refused = mismatch("east", {**SPEC, **changed}, bound())
    assert says in refused
    assert "fedctl join east --rotate" in refused
    assert "hunter2" not in refused + str(bound(**changed))


def test_one_clusters_secret_is_anothers_for_the_same_place_alone() -> None:
    assert mismatch("second-name", SPEC, bound()) == ""
    assert "apiEndpoint is https://evil" in mismatch("evil", {**SPEC, "apiEndpoint": "https://evil"}, bound())
    only_named = {binding.CLUSTER_ANNOTATION: "east"}
    assert "credentials of cluster 'east'" in mismatch("evil", SPEC, only_named)


@pytest.mark.parametrize("text", ["", "x", "[]", "null", "[" * 100_000, '{"apiEndpoint": 7}'])
def test_a_record_that_cannot_be_read_fits_nothing(text: str) -> None:
    assert mismatch("east", SPEC, {binding.ANNOTATION: text}) != ""


KUBEFEDCTLS: dict[str, Any] = {
    "data": data(token=account_token("east-hub")),
    "kind": "Opaque",
    "generate_name": "east-",
}
"""What kubefedctl join stores without --secret-name."""


@pytest.mark.parametrize(
    ("annotations", "secret"),
    [
        pytest.param({}, KUBEFEDCTLS, id="kubefedctls"),
        pytest.param({"other": "x"}, {**KUBEFEDCTLS, "kind": ""}, id="kubefedctls-annotated"),
        pytest.param({binding.CLUSTER_ANNOTATION: "east"}, {"data": data(token="any")}, id="annotated"),
        pytest.param({binding.CLUSTER_ANNOTATION: "east"}, {"data": data(kubeconfig="any")}, id="a-kubeconfig"),
        pytest.param(
            {binding.CLUSTER_ANNOTATION: "east"},
            {"kind": "kubernetes.io/service-account-token"},
            id="an-account-of-the-host-annotated",
        ),
    ],
)
def test_without_a_record_a_secret_is_used_that_says_whose_it_is(
    annotations: dict[str, str], secret: dict[str, Any]
) -> None:
    assert mismatch("east", SPEC, annotations, **secret) == ""


@pytest.mark.parametrize(
    "secret",
    [
        pytest.param({"data": data(token="ghp_x"), "kind": "Opaque"}, id="a-git-token"),
        pytest.param({**KUBEFEDCTLS, "data": data(token="ghp_x")}, id="a-git-token-with-a-generated-name"),
        pytest.param({**KUBEFEDCTLS, "generate_name": ""}, id="a-name-of-its-own"),
        pytest.param({**KUBEFEDCTLS, "generate_name": "east-1-"}, id="another-clusters"),
        pytest.param({**KUBEFEDCTLS, "data": data(token=account_token("easter-hub"))}, id="another-account"),
        pytest.param({**KUBEFEDCTLS, "data": data(token=account_token("east-hub", "apps"))}, id="another-namespace"),
        pytest.param({**KUBEFEDCTLS, "data": data(kubeconfig="{}")}, id="a-kubeconfig"),
        pytest.param({**KUBEFEDCTLS, "data": data(token=account_token("east-hub"), kubeconfig="{}")}, id="both"),
        pytest.param({**KUBEFEDCTLS, "data": {"token": "%"}}, id="no-base64"),
        pytest.param({**KUBEFEDCTLS, "data": {"token": 7}}, id="no-text"),
        pytest.param({**KUBEFEDCTLS, "data": {}}, id="nothing"),
        pytest.param({**KUBEFEDCTLS, "kind": "kubernetes.io/basic-auth"}, id="another-type"),
        pytest.param({**KUBEFEDCTLS, "kind": "kubernetes.io/service-account-token"}, id="an-account-of-the-host"),
    ],
)
def test_any_other_secret_is_nobodys_until_somebody_says_whose(secret: dict[str, Any]) -> None:
    refused = mismatch("east", SPEC, {}, **secret)
    assert "is sent" in refused
    assert "fedctl join east --rotate --secret-name" in refused
    assert f"kubectl annotate secret east-x7k2p -n {SYSTEM} {binding.CLUSTER_ANNOTATION}=east" in refused
    assert ("account of the host cluster" in refused) is (secret["kind"] == "kubernetes.io/service-account-token")
    assert "ghp_x" not in refused + repr(binding.Credentials(ObjectName("", "s"), {}, **secret))


def test_how_to_confirm_another_place_names_the_annotation_that_is_lacking() -> None:
    moved = {**SPEC, "apiEndpoint": "https://moved"}
    command = f"kubectl annotate secret east-x7k2p -n {SYSTEM} {binding.ANNOTATION}-"
    assert mismatch("east", moved, bound()).endswith(command)
    recorded = {binding.ANNOTATION: binding.record(SPEC)}
    assert mismatch("east", moved, recorded).endswith(f"{command} {binding.CLUSTER_ANNOTATION}=east")


@pytest.mark.parametrize(
    ("written", "url"),
    [
        pytest.param("east:6443", "https://east:6443", id="host-and-port"),
        pytest.param("east", "https://east", id="host"),
        pytest.param("[::1]:6443/", "https://[::1]:6443/", id="ipv6"),
        pytest.param("https://east:6443", "https://east:6443", id="a-url"),
        pytest.param("http://east", "http://east", id="plain-http-stays-what-it-is"),
        pytest.param("east:6443/path", "east:6443/path", id="kubefed-refused-a-path"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_an_endpoint_without_a_scheme_is_https(written: str, url: str) -> None:
    assert binding.api_endpoint(written) == url


def test_the_scheme_that_is_left_out_makes_no_other_place() -> None:
    record = {binding.ANNOTATION: binding.record({**SPEC, "apiEndpoint": "east:6443"})}
    assert mismatch("east", SPEC, record) == ""
    assert mismatch("east", {**SPEC, "apiEndpoint": "east:6443"}, bound()) == ""


@pytest.mark.parametrize(
    ("disabled", "says"),
    [
        pytest.param(None, "", id="absent"),
        pytest.param([], "", id="empty"),
        pytest.param(["*"], "whoever answers at its endpoint gets its credentials", id="all"),
        pytest.param(["ValidityPeriod", "SubjectName"], "whoever has a certificate of the same CA", id="name"),
        pytest.param(["ValidityPeriod"], "a certificate that has expired is accepted", id="period"),
    ],
)
def test_what_is_not_verified_is_said(disabled: Any, says: str) -> None:
    said = binding.unverified({**SPEC, "disabledTLSValidations": disabled})
    assert bool(said) is bool(says)
    assert says in said
