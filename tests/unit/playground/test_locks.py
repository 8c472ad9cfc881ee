"""One run at a time; the others wait and say so."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from federation.playground import locks

HOLD = """
import sys
from pathlib import Path
from federation.playground import locks
with locks.hold(Path(sys.argv[1]), lambda _: None):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_run_waits_until_the_first_is_done(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "lock"
    waited: list[float] = []
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == "held\n"

        def waiting(seconds: float) -> None:
            waited.append(seconds)
            if len(waited) == 3:
                other.stdin.close()  # type: ignore[union-attr]

        with locks.hold(path, waiting, interval=0.01):
            assert len(waited) >= 3
    assert waited == sorted(waited)


def test_a_crash_leaves_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        other.kill()
    waited: list[float] = []
    with locks.hold(path, waited.append):
        assert waited == []


def test_remove_takes_the_file_away_only_after_success(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with pytest.raises(RuntimeError), locks.hold(path, lambda _: None, remove=True):
        raise RuntimeError
    assert path.exists()
    with locks.hold(path, lambda _: None, remove=True):
        assert path.exists()
    assert not path.exists()


def test_a_lock_on_a_removed_file_lets_nobody_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lock"
    opened: list[int] = []
    really_open = os.open

    def replaced_after_open(name: Path, flags: int, mode: int = 0o777) -> int:
        descriptor = really_open(name, flags, mode)
        opened.append(descriptor)
        if len(opened) == 1:  # its holder of before removes it between our open and our lock
            path.unlink()
        return descriptor

    monkeypatch.setattr(os, "open", replaced_after_open)
    with locks.hold(path, lambda _: None):
        assert len(opened) == 2
        assert path.exists()
