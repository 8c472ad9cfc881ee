"""What counts as a credential in a Secret or a ConfigMap, and what is told of its rights; without clusters."""

import base64
import json
from typing import Any

import pytest

from federation.comparing import thief
from federation.comparing.thief import Stolen
from federation.playground import pki

CA = pki.authority("hub")
PAIR = pki.serving(CA, "somebody", dns=(), ips=("127.0.0.1",))
OTHER = pki.serving(CA, "another", dns=(), ips=("127.0.0.1",))


def jwt(**claims: Any) -> str:
    parts = ({"alg": "none"}, {"sub": "system:serviceaccount:a:b", **claims}, {"of": "nothing"})
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)


def secret(**data: bytes | str) -> dict[str, Any]:
    encoded = {
        key: base64.b64encode(value if isinstance(value, bytes) else value.encode()).decode()
        for key, value in data.items()
    }
    return {"metadata": {"namespace": "shop", "name": "web"}, "data": encoded}


def test_a_token_wherever_it_stands() -> None:
    token = jwt(iat=0, exp=86400 * 30)
    plain = thief.found_in("Secret", secret(token=token))
    within = thief.found_in("Secret", secret(kubeconfig=f"users:\n- user:\n    token: {token}\n"))
    twice = thief.found_in("Secret", secret(a=token, b=token))
    assert [[each.token for each in found] for found in (plain, within, twice)] == [[token]] * 3
    assert plain[0].where == "Secret shop/web"
    assert plain[0].days == pytest.approx(30.0)


def test_a_token_in_a_configmap() -> None:
    item = {"metadata": {"namespace": "shop", "name": "web"}, "data": {"notes": f"use {jwt()} for it"}}
    (found,) = thief.found_in("ConfigMap", item)
    assert found.days is None
    assert found.where == "ConfigMap shop/web"


def test_a_certificate_with_its_own_key_alone() -> None:
    (found,) = thief.found_in("Secret", secret(a=PAIR.certificate + OTHER.certificate, b=PAIR.key))
    assert found.certificate.strip() == PAIR.certificate.strip()
    assert found.key.strip() == PAIR.key.strip()
    assert found.days is not None


def test_a_kubeconfig_with_embedded_data() -> None:
    text = "".join(
        f"client-{name}-data: {base64.b64encode(value).decode()}\n"
        for name, value in (("certificate", PAIR.certificate), ("key", PAIR.key))
    )
    (found,) = thief.found_in("Secret", secret(kubeconfig=text))
    assert found.key.strip() == PAIR.key.strip()


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"a": "hello"},
        {"a": b"\xff\xfe"},
        {"a": "eyJhbGciOiJub25lIn0.e30.not-one?"},
        {"a": PAIR.certificate},
        {"a": PAIR.key},
    ],
)
def test_what_is_none(data: dict[str, Any]) -> None:
    assert thief.found_in("Secret", secret(**data)) == []


def test_what_was_stolen_is_not_printed() -> None:
    shown = repr(Stolen("Secret shop/web", token=jwt(), certificate=PAIR.certificate, key=PAIR.key))
    assert shown == "Stolen(where='Secret shop/web')"


def test_rights_in_short() -> None:
    every = ("", "configmaps", frozenset({"get", "patch"}))
    assert thief._can({"a": [], "b": []}) == "nothing that changes or reads a Secret"
    assert thief._can({"a": [every], "b": [every]}) == "change configmaps"
    assert thief._can({"a": [every], "b": []}) == "change configmaps (in a)"
    assert thief._can({"a": [("*", "*", frozenset({"*"}))]}) == "change everything; read everything"
    assert thief._can({"a": [("", "secrets", frozenset({"list"}))]}) == "read secrets"
    many = [("apps", f"r{number}", frozenset({"create"})) for number in range(8)]
    assert thief._can({"a": many}).endswith("r5.apps and 2 more")
