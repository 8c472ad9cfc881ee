"""A test that fails is reported, whatever the garbage collector finds meanwhile."""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parents[2]
FAILING = '''
import ast


class Loud:
    """Garbage whose finalizer parses, as the report of a warning in it does, and leaves more of its kind."""

    def __init__(self):
        self.itself = self

    def __del__(self):
        if ast is not None:
            deep(50)
            Loud()


def deep(frames):
    return deep(frames - 1) if frames else ast.parse("a + b")


def test_that_fails():
    Loud()
    assert False
'''
LONG = "\n".join(f"def unused_{each}(a, b):\n    return [x for x in range(a) if x > b]\n" for each in range(300))


def test_garbage_does_not_end_the_run(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(FAILING + LONG)
    arguments = ["-p", "tests.conftest", "-p", "no:cacheprovider", "-q", "--rootdir", str(tmp_path), str(tmp_path)]
    ran = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "pytest", *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(HERE)},
        check=False,
    )
    assert "1 failed" in ran.stdout, ran.stdout + ran.stderr
    assert ran.returncode == 1
