"""Requests read as RBAC would name them; the answers are those of apiserver's own RequestInfo tests, plus "apply"."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.playground import requestinfo
from federation.playground.requestinfo import RequestInfo

APPLY = "application/apply-patch+yaml"


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        pytest.param("GET", "/api/v1/namespaces/n/pods", ("list", "pods", "n", ""), id="list"),
        pytest.param("GET", "/api/v1/pods?limit=5", ("list", "pods", "", ""), id="list-everywhere"),
        pytest.param("GET", "/api/v1/namespaces/n/pods/p", ("get", "pods", "n", "p"), id="get"),
        pytest.param("HEAD", "/api/v1/namespaces/n/pods/p", ("get", "pods", "n", "p"), id="head-is-get"),
        pytest.param("GET", "/api/v1/nodes/x", ("get", "nodes", "", "x"), id="cluster-scoped"),
        pytest.param("GET", "/api/v1/pods?watch=true", ("watch", "pods", "", ""), id="watch"),
        pytest.param("GET", "/api/v1/pods?watch=1&resourceVersion=5", ("watch", "pods", "", ""), id="watch-1"),
        pytest.param("GET", "/api/v1/pods?watch=false", ("list", "pods", "", ""), id="watch-false-is-list"),
        pytest.param("GET", "/api/v1/pods?watch=0", ("list", "pods", "", ""), id="watch-0-is-list"),
        pytest.param("GET", "/api/v1/pods?watch", ("watch", "pods", "", ""), id="bare-watch"),
        pytest.param("GET", "/api/v1/watch/namespaces/n/pods", ("watch", "pods", "n", ""), id="old-watch-prefix"),
        pytest.param(
            "GET",
            "/api/v1/pods?watch=1&fieldSelector=metadata.name%3Dp",
            ("watch", "pods", "", "p"),
            id="watch-one-name",
        ),
        pytest.param(
            "GET",
            "/api/v1/pods?fieldSelector=status.phase%3DX,metadata.name%3D%3Dp",
            ("list", "pods", "", "p"),
            id="==",
        ),
        pytest.param("POST", "/api/v1/namespaces/n/pods", ("create", "pods", "n", ""), id="create"),
        pytest.param("PUT", "/api/v1/namespaces/n/pods/p", ("update", "pods", "n", "p"), id="update"),
        pytest.param("DELETE", "/api/v1/namespaces/n/pods/p", ("delete", "pods", "n", "p"), id="delete"),
        pytest.param(
            "DELETE", "/api/v1/namespaces/n/pods", ("deletecollection", "pods", "n", ""), id="deletecollection"
        ),
        pytest.param("GET", "/api/v1/namespaces", ("list", "namespaces", "", ""), id="list-namespaces"),
        pytest.param("GET", "/api/v1/namespaces/n", ("get", "namespaces", "n", "n"), id="get-namespace"),
        pytest.param(
            "PUT", "/api/v1/namespaces/n/finalize", ("update", "namespaces/finalize", "n", "n"), id="finalize"
        ),
        pytest.param(
            "POST",
            "/api/v1/namespaces/n/serviceaccounts/s/token",
            ("create", "serviceaccounts/token", "n", "s"),
            id="token",
        ),
        pytest.param("GET", "/apis/apps/v1/deployments", ("list", "deployments.apps", "", ""), id="group"),
        pytest.param(
            "PUT",
            "/apis/apps/v1/namespaces/n/deployments/d/status",
            ("update", "deployments.apps/status", "n", "d"),
            id="group-and-subresource",
        ),
        pytest.param("GET", "/readyz?verbose", ("get", "", "", ""), id="no-resource"),
        pytest.param("GET", "/apis/apps/v1", ("get", "", "", ""), id="discovery"),
        pytest.param("GET", "/api", ("get", "", "", ""), id="root-discovery"),
        pytest.param("POST", "/somewhere", ("post", "", "", ""), id="post-to-no-resource"),
    ],
)
def test_parse(method: str, target: str, expected: tuple[str, str, str, str]) -> None:
    info = requestinfo.parse(method, target)
    assert (info.verb, info.resource, info.namespace, info.name) == expected


@pytest.mark.parametrize(
    ("content_type", "verb"),
    [
        pytest.param("application/apply-patch+yaml", "apply", id="yaml"),
        pytest.param("application/apply-patch+json; charset=utf-8", "apply", id="json-with-parameter"),
        pytest.param("application/apply-patch+cbor", "apply", id="cbor"),
        pytest.param("application/merge-patch+json", "patch", id="merge"),
        pytest.param("application/json-patch+json", "patch", id="json-patch"),
        pytest.param("", "patch", id="none"),
    ],
)
def test_a_patch_is_an_apply_by_its_content_type(content_type: str, verb: str) -> None:
    assert requestinfo.parse("PATCH", "/api/v1/namespaces/n/configmaps/c", content_type).verb == verb


@given(method=st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]), target=st.text(max_size=80))
def test_whatever_is_asked_is_read(method: str, target: str) -> None:
    assert isinstance(requestinfo.parse(method, target, APPLY), RequestInfo)
