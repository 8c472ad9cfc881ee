"""A terminal is sent text and nothing else, whatever API servers say; the same words still read back as JSON."""

import io
import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.cli import printing, visible


@given(st.text())
def test_nothing_moves_the_cursor(text: str) -> None:
    out = io.StringIO()
    visible.Stream(out).write(text)
    shown = out.getvalue()
    assert not [c for c in shown if c not in "\n\t" and (ord(c) < 32 or 127 <= ord(c) < 160)]
    shown.encode()
    assert shown == text or not text.isprintable()


def test_what_is_shown_of_json_is_json() -> None:
    value = {"message": "\x1b[2J\x07\x9b31m\x7f\r\n\t \u00e9 \u202e"}
    assert json.loads(visible.visible(json.dumps(value, ensure_ascii=False))) == value


def test_there_is_no_way_around() -> None:
    stream = visible.Stream(io.TextIOWrapper(io.BytesIO()))
    assert not hasattr(stream, "buffer")
    assert visible.raw(stream) is stream.raw
    assert stream.encoding


def test_a_table_keeps_its_own_colours_and_nobody_elses(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys, "stdout", visible.Stream(sys.stdout))
    printing.table(["NAME", "READY"], [["evil\x1b[2J", "True"]])
    shown = capsys.readouterr().out
    assert "\x1b[2J" not in shown
    assert "\x1b[32m" in shown


def test_the_command_prints_through_it() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "federation", "get", "clusters", "--kubeconfig", "/none/\x07\x9b2J"],
        capture_output=True,
        check=False,
    )
    assert done.returncode
    assert b"/none/\\u0007\\u009b2J" in done.stderr
    assert b"\x07" not in done.stderr + done.stdout


def test_a_line_of_a_log_turns_nothing_round_and_breaks_nothing() -> None:
    text = "\x1b[2J\r a\u202eb\u2066c\u2028d\tok é 漢 ‍"
    shown = visible.line(text)
    assert shown == "\\u001b[2J\\u000d a\\u202eb\\u2066c\\u2028d\tok é 漢 ‍"
