"""The image's dependencies, each with one version and the hashes of its files: renew, or check that they fit setup.cfg.

`python -m image.lock` writes requirements.txt and build-requirements.txt anew, with the newest versions that setup.cfg
and pyproject.toml allow (by uv, from its package index). `--check` needs no index; `make check` runs it.
A tool such as Renovate may raise single versions in these files: they are pip's own format.
"""

import configparser
import hashlib
import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HERE = Path(__file__).parent
TOP = HERE.parent
UV = "uv==0.13.9"
EXTRAS = ("cel",)
"""What the image has beside the core: expressions in FederatedRollouts and in `spec.health`."""
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)[^\n]*\\\n((?:\s+--hash=sha256:[0-9a-f]{64}(?: \\)?\n?)+)", re.MULTILINE)
_LINE = re.compile(r"^[A-Za-z0-9]", re.MULTILINE)
_HEADER = (
    "# Made by `python -m image.lock`: versions and hashes of what the image has. `make check` compares it with {}.\n"
)


def wanted(top: Path = TOP) -> dict[str, list[Requirement]]:
    """Lock file -> what the project asks for itself."""
    config = configparser.ConfigParser()
    config.read(top / "setup.cfg")
    lines = config["options"]["install_requires"].split("\n")
    for extra in EXTRAS:
        lines += config["options.extras_require"][extra].split("\n")
    build = tomllib.loads((top / "pyproject.toml").read_text())["build-system"]["requires"]
    return {
        "requirements.txt": [Requirement(line) for line in lines if line.strip()],
        "build-requirements.txt": [Requirement(line) for line in build],
    }


def pins(text: str) -> dict[str, str]:
    """Name -> version of every entry that has hashes."""
    return {canonicalize_name(name): version for name, version, _ in _PIN.findall(text)}


def faults(required: list[Requirement], text: str) -> Iterator[str]:
    """What is wrong with a lock file, in words."""
    found = pins(text)
    if len(found) != len(_LINE.findall(text)):
        yield "an entry has no version, no hash, or is there twice"
    for each in required:
        version = found.get(canonicalize_name(each.name))
        if version is None:
            yield f"{each.name} is missing"
        elif not each.specifier.contains(version, prereleases=True):
            yield f"{each.name} {version} is not {each.specifier}"


def digest(here: Path = HERE) -> str:
    """What the lock files are, in a word."""
    return hashlib.sha256(b"".join((here / name).read_bytes() for name in sorted(wanted()))).hexdigest()[:12]


def check(here: Path = HERE, top: Path = TOP) -> list[str]:
    """Every fault of both files."""
    found = []
    for name, required in wanted(top).items():
        text = (here / name).read_text() if (here / name).exists() else ""
        found += [f"{here.name}/{name}: {fault}: run python -m image.lock" for fault in faults(required, text)]
    return found


def renew() -> None:
    """Write both files anew. Raises subprocess.CalledProcessError when the index does not answer."""
    with tempfile.TemporaryDirectory() as scratch:
        venv.create(scratch, with_pip=True)
        bin_ = Path(scratch, "bin")
        _run(bin_ / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", UV)
        for name, required in wanted().items():
            source = Path(scratch, name)
            source.write_text("".join(f"{each}\n" for each in required))
            how = ("--universal", "--python-version", "3.11", "--generate-hashes", "--no-header", "--no-annotate")
            _run(bin_ / "uv", "pip", "compile", "--quiet", *how, "-o", source.with_suffix(".lock"), source)
            origin = "setup.cfg" if name == "requirements.txt" else "pyproject.toml"
            (HERE / name).write_text(_HEADER.format(origin) + source.with_suffix(".lock").read_text())


def _run(*command: object) -> None:
    subprocess.run(list(map(str, command)), check=True)  # noqa: S603 - our own command


def main(arguments: list[str]) -> int:
    """0; with --check 1 when something does not fit."""
    if arguments != ["--check"]:
        renew()
    found = check()
    for fault in found:
        sys.stderr.write(f"error: {fault}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
