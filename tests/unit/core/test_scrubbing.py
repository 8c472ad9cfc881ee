"""A canary value, put into every shape in which an API server was seen to quote what it refused, never comes out."""
# ruff: noqa: E501 - servers' texts stay on one line, so that a search for one finds it

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.core import classification, scrubbing

CANARY = "hunter2"
CANARY64 = "aHVudGVyMg=="

SHAPES = {
    "typed map": "failed to create typed patch object (n/s; /v1, Kind=Secret): .data: expected map, got &{hunter2}",
    "typed struct": (
        "failed to create typed patch object (n/s; /v1, Kind=Secret): .data.k: expected string, got "
        '&value.valueUnstructured{Value:map[string]interface {}{"p":"hunter2"}}'
    ),
    "typed list": "failed to create typed patch object (n/s; /v1, Kind=Secret): .data: expected map, got &{[hunter2]}",
    "patch": 'patch: Invalid value: "{\\"apiVersion\\":\\"v1\\",\\"data\\":{\\"k\\":\\"hunter2\\"}}": json: cannot unmarshal',
    "policy expression": "secrets \"s\" is forbidden: ValidatingAdmissionPolicy 'p' denied request: bad value: aHVudGVyMg==",
    "env of a job": (
        'Job.batch "j" is invalid: spec.template: Invalid value: core.PodTemplateSpec{Spec:core.PodSpec{Containers:'
        '[]core.Container{core.Container{Env:[]core.EnvVar{core.EnvVar{Name:"P", Value:"hunter2"}}}}}}: field is immutable'
    ),
    "env of a pod": (
        'Pod "p" is invalid: spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`\n'
        "  core.PodSpec{\n  \tContainers: []core.Container{\n- \t\tValue: \"hunter2\",\n+ \t\tValue: \"x\",\n  }\n"
    ),
    "enum": 'W.example.com "w" is invalid: spec.s: Unsupported value: "hunter2": supported values: "A", "B"',
    "cel": 'W.example.com "w" is invalid: spec.s: Invalid value: "hunter2": must not be so',
    "cel string with quotes": 'spec.s: Invalid value: "say \\"hunter2\\" {": must not be so',
    "duplicate": 'spec.l[1]: Duplicate value: "hunter2"',
    "duplicate map": 'spec.l[1]: Duplicate value: {"name":"hunter2"}',
    "map value": 'spec.m: Invalid value: map[string]string{"k":"hunter2"}: bad',
    "map of anything": 'spec.m: Invalid value: map[string]interface {}{"k":[]interface {}{"hunter2"}}: bad',
    "printed map": "spec.m: bad: map[k:hunter2]",
    "list value": 'spec.m: Invalid value: []string{"hunter2"}: bad',
    "bare value": "spec.m: Invalid value: hunter2: bad",
    "cut short": 'spec.m: Invalid value: core.X{A:"hunter2',
    "json in text": 'admission webhook "w" denied the request: {"data":{"k":"hunter2"}}',
    "pem": "tls: -----BEGIN RSA PRIVATE KEY-----\nhunter2\n-----END RSA PRIVATE KEY----- is bad",
    "pem cut short": "tls: -----BEGIN RSA PRIVATE KEY-----\nhunter2",
    "url": 'Post "https://admin:hunter2@10.0.0.1/x": refused',
    "key value": "login failed: password=hunter2 user=x",
    "bearer": "sent Authorization: Bearer hunter2hunter2",
}  # fmt: skip

ONLY_FOR_SECRETS = {
    "bad key": 'Secret "s" is invalid: data[hunter2 x]: Invalid value: "hunter2 x": a valid config key must consist of',
    "bad label value": 'Secret "s" is invalid: metadata.labels: Invalid value: "hunter2 x": a valid label must be',
    "unknown field": "failed to create typed patch object (n/s; /v1, Kind=Secret): .hunter2: field not declared in schema",
    "unknown field, strict": 'Secret in version "v1" cannot be handled: strict decoding error: unknown field "hunter2"',
    "webhook prose": 'admission webhook "w" denied the request: your password hunter2 is weak',
    "plain 500": "something hunter2 happened",
}


def _leaks(text: str) -> bool:
    return CANARY in text or CANARY64.rstrip("=") in text


@pytest.mark.parametrize("message", [pytest.param(text, id=name) for name, text in SHAPES.items()])
def test_no_shape_brings_the_canary_out(message: str) -> None:
    assert _leaks(message)
    assert not _leaks(scrubbing.scrub(message, secret=False))
    assert not _leaks(scrubbing.scrub(message, secret=True))


@pytest.mark.parametrize("code", [400, 403, 409, 422, 429, 500, 503])
@pytest.mark.parametrize(
    "message", [pytest.param(text, id=name) for name, text in {**SHAPES, **ONLY_FOR_SECRETS}.items()]
)
def test_a_failure_about_a_secret_holds_the_canary_nowhere(code: int, message: str) -> None:
    body = orjson.dumps(
        {
            "kind": "Status",
            "code": code,
            "reason": "hunter2 is no reason",
            "message": message,
            "details": {"causes": [{"field": "data[hunter2 x]", "message": message, "reason": "hunter2!"}]},
        }
    )
    failure = classification.classify(code, "application/json", body, secret=True)
    assert not _leaks(repr(failure))
    plain = classification.classify(code, "text/plain", message.encode(), secret=True)
    assert plain.message


@given(st.text(st.characters(categories=["L", "N", "P", "S"], exclude_characters='"\\'), min_size=6, max_size=30))
def test_any_quoted_value_is_cut(value: str) -> None:
    scrubbed = scrubbing.scrub(f'spec.x: Invalid value: "{value}": bad', secret=False)
    assert scrubbed == "spec.x: Invalid value: …: bad"


@given(st.text(max_size=400), st.booleans(), st.integers(10, 300))
def test_a_scrubbed_message_is_one_short_line(text: str, secret: bool, limit: int) -> None:
    scrubbed = scrubbing.scrub(text, secret=secret, limit=limit)
    assert len(scrubbed) <= limit
    assert scrubbed.isprintable()


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        pytest.param(
            'configmaps "x" is forbidden: exceeded quota: q, requested: count/configmaps=1, limited: count/configmaps=5',
            'configmaps "x" is forbidden: exceeded quota: q, requested: count/configmaps=1, limited: count/configmaps=5',
            id="quota",
        ),
        pytest.param(
            "spec.ports[0].port: Invalid value: 70000: must be between 1 and 65535, inclusive",
            "spec.ports[0].port: Invalid value: 70000: must be between 1 and 65535, inclusive",
            id="numbers-are-no-secrets",
        ),
        pytest.param(
            '.spec.containers[name="c"].env: duplicate entries for key [name="A"]',
            '.spec.containers[name="c"].env: duplicate entries for key [name="A"]',
            id="keys-of-lists",
        ),
        pytest.param(
            'spec.s: Invalid value: "x": must be lower, spec.t: Invalid value: "y": must be upper',
            "spec.s: Invalid value: …: must be lower, spec.t: Invalid value: …: must be upper",
            id="each-reason-stays",
        ),
        pytest.param(
            "<nil>: Invalid value: metadata.name must be <plural>.<group>, e.g. deployments.apps",
            "<nil>: Invalid value: metadata.name must be <plural>.<group>, e.g. deployments.apps",
            id="rule-over-an-object",
        ),
        pytest.param(
            "spec.l: Invalid value: leaseDuration (15s when left out) must be longer",
            "spec.l: Invalid value: leaseDuration (15s when left out) must be longer",
            id="rule-with-a-bracket",
        ),
        pytest.param(
            "spec: Invalid value: name a tag, so that: all serve it, spec.m: Invalid value: 1Gi: too small",
            "spec: Invalid value: name a tag, so that: all serve it, spec.m: Invalid value: …: too small",
            id="rule-beside-a-bare-value",
        ),
        pytest.param(
            'spec.m: Invalid value: map[string]interface {}{"k":[]interface {}{"x"}}: bad, and spec.n: Invalid value: true',
            "spec.m: Invalid value: …: bad, and spec.n: Invalid value: true",
            id="go-types-with-a-space",
        ),
        pytest.param(
            f"image r.io/a@sha256:{'0' * 64} and {'0' * 64}", f"image r.io/a@sha256:{'0' * 64} and …", id="image-digest"
        ),
        pytest.param("first line\nsecond line", "first line second line", id="prose-over-lines"),
        pytest.param("bad \x1b[31mred\u202e text", "bad [31mred text", id="control-characters"),
        pytest.param("t" * 400, "t" * 299 + "…", id="long"),
        pytest.param("key AbCdEfGhIjKlMnOpQrStUvWxYz0123456789 bad", "key … bad", id="random-run"),
        pytest.param("eyJhbGciOiJSUzI1NiJ9.eyJzdWIi.c2ln bad", "… bad", id="jwt"),
    ],
)
def test_what_is_useful_stays(message: str, expected: str) -> None:
    assert scrubbing.scrub(message, secret=False) == expected


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        pytest.param(SHAPES["typed struct"], "failed to create typed patch object: .data.k", id="typed-path"),
        pytest.param(SHAPES["typed map"], "failed to create typed patch object: .data", id="typed-map"),
        pytest.param(ONLY_FOR_SECRETS["unknown field"], "failed to create typed patch object", id="undeclared"),
        pytest.param(
            'secrets "s" is forbidden: User "u" cannot patch resource "secrets" in API group "" in the namespace "n"',
            'cannot patch resource "secrets" in API group "" in the namespace "n"',
            id="right",
        ),
        pytest.param("anything else", "", id="nothing"),
    ],
)
def test_what_of_a_secret_may_be_said(message: str, expected: str) -> None:
    assert scrubbing.scrub(message, secret=True) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("data[tls.key]", "data[tls.key]"),
        ("data[hunter2 x]", "data…"),
        (".metadata.labels.kubefed.io/managed", ".metadata.labels.kubefed.io/managed"),
        ('.spec.containers[name="c"].env[0]', '.spec.containers[name="c"].env[0]'),
        (".data.hunter2 x", ".data…"),
        ("", ""),
    ],
)
def test_field_paths_of_secrets_end_where_a_refused_name_begins(path: str, expected: str) -> None:
    assert scrubbing.field(path, secret=True) == expected


def test_field_paths_of_others_are_bounded() -> None:
    assert scrubbing.field("a\nb" + "x" * 300, secret=False) == "a b" + "x" * 197


@pytest.mark.parametrize(("reason", "expected"), [("NotFound", "NotFound"), ("a b", ""), ("x" * 65, ""), (5, "")])
def test_reasons_are_single_words(reason: object, expected: str) -> None:
    assert scrubbing.reason(reason) == expected
