"""Find, fetch or build etcd, kube-apiserver and kube-controller-manager; called by `clusters` before any start.

Places, first that has it: $KUBEBUILDER_ASSETS, our cache directory, PATH (if the version fits), the official envtest
archive, `go build` of the modules pinned in controlplane/. Only what is asked for is fetched or built, under a lock.
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
_TELL_EVERY = 10.0


def cache_root(environ: Mapping[str, str] = os.environ) -> Path:
    """$XDG_CACHE_HOME or ~/.cache, then federation/controlplane; one folder per Kubernetes version below it."""
    cache = environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache) / "federation" / "controlplane"


def acceptable(name: str, version_text: str) -> bool:
    """Whether the output of `NAME --version` is of the minor release that this playground is tested with."""
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
        return ""  # no usable binary, so no acceptable version
    return shown.stdout + shown.stderr


def _cached(root: Path) -> Iterator[Path]:
    """The cache's folders of this minor release: the pinned one, then an archive's, newest first."""
    yield root / KUBERNETES_VERSION
    siblings = root.glob(f"{KUBERNETES_VERSION.rpartition('.')[0]}.*")
    yield from sorted(
        siblings, key=lambda each: int(each.suffix[1:]) if each.suffix[1:].isdigit() else -1, reverse=True
    )


def find(names: Collection[str], environ: Mapping[str, str] = os.environ) -> dict[str, Path]:
    """Those of `names` that are on this machine already. Nothing is fetched or built."""
    assets = environ.get("KUBEBUILDER_ASSETS")
    folders = [Path(assets)] if assets else []
    folders += _cached(cache_root(environ))
    found: dict[str, Path] = {}
    for name in names:
        here = next((folder / name for folder in folders if _executable(folder / name)), None)
        if here is None:
            on_path = shutil.which(name, path=environ.get("PATH", ""))
            if on_path and acceptable(name, _version_text(Path(on_path))):
                here = Path(on_path)
        if here is not None:
            found[name] = here.absolute()
    return found


def ensure(
    names: Collection[str], report: Callable[[str], None], environ: Mapping[str, str] = os.environ
) -> dict[str, Path]:
    """Paths of all `names` (of `NAMES`), fetched or built if need be; `report` hears what happens and what it takes.

    Raises PlaygroundError if neither can be done. An interrupted build goes on where it was when run again.
    """
    unknown = set(names) - set(NAMES)
    if unknown:
        raise ValueError(f"no such control-plane binary: {', '.join(sorted(unknown))}")
    found = find(names, environ)
    if len(found) == len(set(names)):
        return found
    root = cache_root(environ)
    with locks.hold(root / ".lock", _waiting(report)):
        found = find(names, environ)  # the run that we waited for may have made them
        missing = [name for name in NAMES if name in names and name not in found]
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
    told = -_TELL_EVERY

    def waiting(seconds: float) -> None:
        nonlocal told
        if seconds - told >= _TELL_EVERY:
            told = seconds
            report(f"another run is building; waiting ({seconds:.0f} s)")

    return waiting
