"""Programs that start clusters when they are run do so only when nothing else was asked for."""

import importlib

import pytest

from e2e import running

PROGRAMS = ["e2e.bench.__main__", "e2e.bench.scale.__main__", "e2e.demo.__main__", "e2e.outage.__main__", "e2e.soak"]
PROGRAMS += ["e2e.bench.scale.series", "e2e.bench.status_forms"]


@pytest.fixture(autouse=True)
def _nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise AssertionError("it starts")

    monkeypatch.setattr(running, "interrupt_on_signals", refuse)  # the first thing that all of them do
    monkeypatch.setattr("subprocess.run", lambda *_, **__: refuse())


@pytest.mark.parametrize("argument", ["--help", "-h", "help"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_help_is_printed(program: str, argument: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert importlib.import_module(program).main([argument]) == 0
    assert "usage: " in capsys.readouterr().out


@pytest.mark.parametrize("program", PROGRAMS)
def test_an_unknown_argument_is_an_error(program: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert importlib.import_module(program).main(["--members=3"]) == 2
    assert "usage: " in capsys.readouterr().err


@pytest.mark.parametrize("program", PROGRAMS)
def test_without_arguments_it_starts(program: str) -> None:
    with pytest.raises(AssertionError, match="it starts"):
        importlib.import_module(program).main([])
