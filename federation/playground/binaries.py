"""Find, download or build etcd, kube-apiserver and kube-controller-manager; called by `clusters` before any start.

The server of simulated members is built from our own source (controlplane/many). For the others these places are tried
in order: $KUBEBUILDER_ASSETS, our cache directory, PATH (if the version fits), the official envtest archive, `go build`
of the modules pinned in controlplane/. Only the requested binaries are downloaded or built, under a lock.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

from federation.playground import archive, gobuild, locks
from federation.playground.errors import PlaygroundError

KUBERNETES_VERSION = "v1.36.3"
NAMES = ("etcd", "kube-apiserver", "kube-controller-manager")
KUBECTL = "kubectl"
"""For users; nothing here needs it, so it is only made on request."""
MANY = gobuild.MANY
"""The server of simulated members; only made if there are any."""
_VERSION = re.compile(r"(?:etcd Version:|Kubernetes) (\S+)")
_REPORT_EVERY = 10.0


def cache_root(environ: Mapping[str, str] = os.environ) -> Path:
    """federation/controlplane in $XDG_CACHE_HOME or ~/.cache, with a folder per Kubernetes version."""
    cache = environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache) / "federation" / "controlplane"


def acceptable(name: str, version_text: str) -> bool:
    """Whether the output of `NAME --version` is of the minor release that this playground is tested with.

    A kubectl of any release is accepted, and a program of ours, whose file name has its source's hash.
    """
    if name in (KUBECTL, MANY):
        return True
    if name == "etcd":
        return re.search(r"etcd Version: 3\.6\.\d+\b", version_text) is not None
    minor = re.escape(KUBERNETES_VERSION.rpartition(".")[0])
    return re.search(rf"Kubernetes {minor}\.\d+(?![-\w.])", version_text) is not None


def _executable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)


def _version_text(path: Path) -> str:
    try:
        shown = subprocess.run([str(path), "--version"], capture_output=True, text=True, timeout=10, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return ""  # not a usable binary
    return shown.stdout + shown.stderr


def _cached(root: Path) -> Iterator[Path]:
    """The cache's folders of this minor release: that of the pinned patch release, then others, newest first."""
    yield root / KUBERNETES_VERSION
    siblings = root.glob(f"{KUBERNETES_VERSION.rpartition('.')[0]}.*")
    yield from sorted(
        siblings, key=lambda each: int(each.suffix[1:]) if each.suffix[1:].isdigit() else -1, reverse=True
    )


def find(names: Collection[str], environ: Mapping[str, str] = os.environ) -> dict[str, Path]:
    """Those of `names` that are on this machine already. Nothing is downloaded or built."""
    assets = environ.get("KUBEBUILDER_ASSETS")
    folders = [Path(assets)] if assets else []
    folders += _cached(cache_root(environ))
    found: dict[str, Path] = {}
    for name in names:
        file = gobuild.file_name(name)
        here = next((folder / file for folder in folders if _executable(folder / file)), None)
        if here is None:
            on_path = shutil.which(file, path=environ.get("PATH", ""))
            if on_path and acceptable(name, _version_text(Path(on_path))):
                here = Path(on_path)
        if here is not None:
            found[name] = here.absolute()
    return found


def versions(names: Collection[str], environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What those of `names` that are on this machine say of their version: `{"etcd": "3.6.16"}`."""
    said = {name: _VERSION.search(_version_text(path)) for name, path in find(names, environ).items()}
    return {name: match[1] for name, match in said.items() if match}


def ensure(
    names: Collection[str], report: Callable[[str], None], environ: Mapping[str, str] = os.environ
) -> dict[str, Path]:
    """Paths of all `names` (of `NAMES`, MANY, KUBECTL), downloaded or built if necessary, with progress to `report`.

    Raises PlaygroundError if neither is possible. Run again, an interrupted build continues.
    """
    every = (*NAMES, MANY, KUBECTL)
    unknown = set(names) - set(every)
    if unknown:
        raise ValueError(f"no such control-plane binary: {', '.join(sorted(unknown))}")
    found = find(names, environ)
    if len(found) == len(set(names)):
        return found
    root = cache_root(environ)
    with locks.hold(root / ".lock", _waiting(report)):
        found = find(names, environ)  # the run that held the lock may have made them
        missing = [name for name in every if name in names and name not in found]
        fetchable = [name for name in missing if name in archive.NAMES]
        if fetchable:
            try:
                archive.fetch(fetchable, KUBERNETES_VERSION, root, report, environ)
            except archive.UnavailableError as error:
                report(f"no official archive ({error}); compiling instead")
        found |= find(missing, environ)
        missing = [name for name in missing if name not in found]
        if missing:
            gobuild.build(missing, KUBERNETES_VERSION, root, report, environ)
            found |= find(missing, environ)
    lacking = [name for name in names if name not in found]
    if lacking:
        raise PlaygroundError(f"built, but not found in {root}: {', '.join(lacking)}; run it again")
    return found


def _waiting(report: Callable[[str], None]) -> Callable[[float], None]:
    reported = -_REPORT_EVERY

    def waiting(seconds: float) -> None:
        nonlocal reported
        if seconds - reported >= _REPORT_EVERY:
            reported = seconds
            report(f"another run is building; waiting ({seconds:.0f} s)")

    return waiting
