"""The real kustomize: $KUSTOMIZE, else compiled once from the Go module proxy into the user's cache, never skipped.

A test of the KRM function without kustomize would only show that we agree with ourselves. Whoever can run the tests
here has Go, or the PyPI package that brings it.
"""

import os
import subprocess
import sys
from pathlib import Path

from tests import gotools

MODULE = "sigs.k8s.io/kustomize/kustomize/v5"
VERSION = "v5.8.1"
"""The newest that Go 1.26, which compiles the control planes, can compile."""


def find() -> Path:
    """kustomize's path."""
    return gotools.find(MODULE, VERSION)


def build(folder: Path) -> subprocess.CompletedProcess[str]:
    """`kustomize build` with the installed `kubefed-krm` in PATH, as a user has it."""
    installed = Path(sys.executable).parent
    return subprocess.run(  # noqa: S603 - our own command
        [find(), "build", "--enable-alpha-plugins", "--enable-exec", str(folder)],
        env=os.environ | {"PATH": f"{installed}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
