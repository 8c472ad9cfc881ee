"""Download kube-apiserver and etcd from the official envtest archive (kubernetes-sigs/controller-tools), verified.

This is the third place that `binaries` tries. If the archive cannot be reached, that fails within seconds, and
`binaries` compiles instead.
"""

import hashlib
import os
import platform
import re
import shutil
import sys
import tarfile
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from typegen.kubeyaml import reading

NAMES = ("etcd", "kube-apiserver", "kubectl")  # the archive has no kube-controller-manager
INDEX_VARIABLE = "FEDERATION_ENVTEST_INDEX"
_INDEX = "https://raw.githubusercontent.com/kubernetes-sigs/controller-tools/HEAD/envtest-releases.yaml"
_TIMEOUT = 5.0  # seconds of silence
_CHUNK = 1 << 20
_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


class UnavailableError(Exception):
    """The archive could not be downloaded; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Archive:
    """One archive of the index."""

    version: str
    url: str
    sha512: str


def choose(index: object, version: str, system: str, architecture: str) -> Archive:
    """The index's archive for this version, or for the newest patch release of the same minor release.

    `index` is the decoded envtest-releases.yaml: {"releases": {"v1.36.0": {"envtest-v1.36.0-linux-amd64.tar.gz":
    {"hash": sha512 in hex, "selfLink": URL}}}}.
    """
    releases = index.get("releases") if isinstance(index, dict) else None
    if not isinstance(releases, dict):
        raise UnavailableError("the index of archives is not of the known form")
    minor = version.rpartition(".")[0]
    patches = [each for each in releases if re.fullmatch(rf"{re.escape(minor)}\.\d+", str(each))]
    patches.sort(key=lambda each: (each == version, int(each.rpartition(".")[2])), reverse=True)
    for patch in patches:
        entry = (releases[patch] or {}).get(f"envtest-{patch}-{system}-{architecture}.tar.gz")
        if isinstance(entry, dict) and re.fullmatch(r"[0-9a-f]{128}", str(entry.get("hash"))) and entry.get("selfLink"):
            return Archive(version=patch, url=str(entry["selfLink"]), sha512=str(entry["hash"]))
    raise UnavailableError(f"the index has none for {minor} on {system}/{architecture}")


def fetch(
    names: Collection[str],
    version: str,
    root: Path,
    report: Callable[[str], None],
    environ: Mapping[str, str] = os.environ,
) -> None:
    """Put `names` into root/<the archive's version>. Raises UnavailableError if it is out of reach or damaged."""
    index = environ.get(INDEX_VARIABLE) or _INDEX
    report(f"looking for the official archive of Kubernetes {version}")
    try:
        with _open(index) as answer:
            content = reading.value(answer.read().decode())
        machine = platform.machine().lower()
        archive = choose(content, version, sys.platform, _ARCHITECTURES.get(machine, machine))
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=root) as scratch:
            package = Path(scratch, "archive.tar.gz")
            _download(archive, package, report)
            _unpack(package, names, Path(scratch), root / archive.version)
    except (OSError, reading.Unreadable, UnicodeDecodeError, tarfile.TarError, EOFError) as error:
        # On one line: the messages of a URLError or a YAML error have several.
        raise UnavailableError(" ".join(str(error).split())) from error


def _open(url: str) -> IO[bytes]:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "https" and parts.hostname != "127.0.0.1":
        raise UnavailableError(f"{parts.scheme or 'no'} address where https is needed")
    answer: IO[bytes] = urllib.request.urlopen(url, timeout=_TIMEOUT)  # noqa: S310 - scheme checked above
    return answer


def _download(archive: Archive, package: Path, report: Callable[[str], None]) -> None:
    began = reported = time.monotonic()
    report(f"downloading Kubernetes {archive.version} for tests, about 70 MB (usually under a minute)")
    digest = hashlib.sha512()
    with _open(archive.url) as answer, package.open("wb") as out:
        while chunk := answer.read(_CHUNK):
            digest.update(chunk)
            out.write(chunk)
            if time.monotonic() - reported > 5:
                reported = time.monotonic()
                report(f"downloading: {out.tell() >> 20} MB in {reported - began:.0f} s")
    if digest.hexdigest() != archive.sha512:
        raise UnavailableError("its checksum is not the one in the index; it was discarded")


def _unpack(package: Path, names: Collection[str], scratch: Path, target: Path) -> None:
    with tarfile.open(package) as content:
        members = {Path(each.name).name: each for each in content.getmembers() if each.isfile()}
        for name in names:
            source = content.extractfile(members[name]) if name in members else None
            if source is None:
                raise UnavailableError(f"it does not contain {name}")
            with source, scratch.joinpath(name).open("wb") as out:
                shutil.copyfileobj(source, out)
            scratch.joinpath(name).chmod(0o755)
    target.mkdir(parents=True, exist_ok=True)
    for name in names:
        scratch.joinpath(name).replace(target / name)
