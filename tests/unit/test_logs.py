"""The last guard of the logs: no token, password or private key gets through, at whatever depth."""

import json
import subprocess
import sys
from typing import Any

import pytest

from federation import logs

JWT = "eyJhbGciOiJSUzI1NiIsImtpZCI6IiJ9.eyJzdWIiOiJzeXN0ZW0ifQ.c2lnbmF0dXJl"
PEM = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEcanary\n-----END EC PRIVATE KEY-----"
CANARY = "hunter2"


@pytest.mark.parametrize(
    "event",
    [
        pytest.param({"token": CANARY}, id="token"),
        pytest.param({"bootstrap_token_value": CANARY}, id="token-in-a-name"),
        pytest.param({"Password": [CANARY]}, id="password-of-any-type"),
        pytest.param({"Authorization": f"Basic {CANARY}"}, id="authorization"),
        pytest.param({"reason": f"refused: Bearer {CANARY}"}, id="bearer-in-text"),
        pytest.param({"reason": f"Authorization: Basic {CANARY}=="}, id="basic-in-text"),
        pytest.param({"event": f"asked with Bearer {CANARY}"}, id="in-the-event"),
        pytest.param({"headers": {"Authorization": CANARY}}, id="nested-by-name"),
        pytest.param({"request": [{"headers": {"x": f"Bearer {CANARY}"}}]}, id="nested-by-value"),
        pytest.param({"seen": (f"Bearer {CANARY}",)}, id="tuple"),
        pytest.param({"body": f"Bearer {CANARY}".encode()}, id="bytes"),
        pytest.param({"error": ValueError(f"Bearer {CANARY}")}, id="exception-object"),
    ],
)
def test_canary_is_hidden(event: dict[str, Any]) -> None:
    assert CANARY not in repr(logs.redact(None, "", event))


@pytest.mark.parametrize(
    "text", [pytest.param(JWT, id="jwt"), pytest.param(PEM, id="key"), pytest.param(PEM[:50], id="cut-key")]
)
def test_what_looks_like_a_credential_is_hidden(text: str) -> None:
    redacted = logs.redact(None, "", {"reason": f"before {text} after"})["reason"]
    assert redacted.startswith("before <hidden>")
    assert text[20:45] not in redacted


def test_everything_else_stays_as_it_is() -> None:
    event = {"event": "cluster ready", "cluster": "east", "seconds": 1.5, "fields": (".data.a",), "none": None}
    assert logs.redact(None, "", dict(event)) == event


@pytest.mark.parametrize("json_format", [True, False], ids=["json", "console"])
def test_a_traceback_tells_no_secret(json_format: bool) -> None:
    """In a process of its own: configuration is process-wide."""
    program = (
        "import sys, structlog\n"
        "from federation import logs\n"
        f"logs.configure(json={json_format}, level='debug')\n"
        "def fail(token):\n"
        "    raise ValueError(f'refused Bearer {token}')\n"
        "try:\n"
        "    fail(sys.argv[1])\n"  # not in the source: tracebacks quote that, from Python 3.13 on a -c program's, too
        "except ValueError:\n"
        "    structlog.get_logger().exception('push failed', cluster='m1')\n"
    )
    done = subprocess.run([sys.executable, "-c", program, CANARY], capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout == ""
    assert "push failed" in done.stderr
    assert "ValueError" in done.stderr
    assert CANARY not in done.stderr
    if json_format:
        assert json.loads(done.stderr)["cluster"] == "m1"
