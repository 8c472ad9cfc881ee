"""Prepare a release: `python -m charts.release VERSION`; its notes: `python -m charts.release --notes VERSION`.

One version is for the Python package, the image, the chart and its appVersion. A release's notes are its section of
CHANGELOG.md. Tags and their names are described in CONTRIBUTING.md.
"""

import datetime as dt
import re
import sys
from pathlib import Path

TOP = Path(__file__).parents[1]
PACKAGE = "federation/__init__.py"
CHART = "charts/federation/Chart.yaml"
CHANGELOG = "CHANGELOG.md"
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)(?:-rc\.(\d+))?")
_HEADING = re.compile(r"^## \[([^\]]+)\].*\n", re.MULTILINE)
_UNRELEASED = "Unreleased"
_FINAL = 10**6  # a release comes after all of its candidates


class Unready(Exception):
    """Why this cannot be released, in words."""


def order(version: str) -> tuple[int, ...]:
    """What versions are compared by: 0.2.0-rc.1 is before 0.2.0. Raises Unready for anything else."""
    found = _VERSION.fullmatch(version)
    if found is None:
        raise Unready(f"{version!r} is no version: 1.2.3 or 1.2.3-rc.1, without a v")
    return (*map(int, found.groups()[:3]), int(found[4] or _FINAL))


def sections(changelog: str) -> dict[str, str]:
    """Version (or Unreleased) -> the text of its section, newest first."""
    parts = _HEADING.split(changelog)[1:]
    return {name: text.strip() for name, text in zip(parts[::2], parts[1::2], strict=True)}


def notes(changelog: str, version: str) -> str:
    """The notes of one version. Raises Unready when the changelog has none."""
    found = sections(changelog).get(version)
    if not found:
        raise Unready(f"CHANGELOG.md has no section [{version}], or an empty one")
    return found


def cut(changelog: str, version: str, date: str) -> str:
    """The changelog with what was unreleased as `version`. Raises Unready where that is not the next one."""
    released = [name for name in sections(changelog) if name != _UNRELEASED]
    notes(changelog, _UNRELEASED)
    if released and order(version) <= max(map(order, released)):
        raise Unready(f"{version} is not above {released[0]}, which was released")
    return changelog.replace(f"## [{_UNRELEASED}]\n", f"## [{_UNRELEASED}]\n\n## [{version}] - {date}\n", 1)


def python_version(version: str) -> str:
    """How Python's packages call it: 0.2.0-rc.1 is 0.2.0rc1."""
    return version.replace("-rc.", "rc")


def prepare(top: Path, version: str, date: str) -> None:
    """Write the version into the three files. Raises Unready and writes nothing when it cannot be released."""
    order(version)
    texts = {name: (top / name).read_text(encoding="utf-8") for name in (CHANGELOG, PACKAGE, CHART)}
    texts[CHANGELOG] = cut(texts[CHANGELOG], version, date)
    texts[PACKAGE] = re.sub(r'(?m)^__version__ = ".*"$', f'__version__ = "{python_version(version)}"', texts[PACKAGE])
    texts[CHART] = re.sub(r"(?m)^(version|appVersion): .*$", rf"\1: {version}", texts[CHART])
    for name, text in texts.items():
        (top / name).write_text(text, encoding="utf-8")


def main(arguments: list[str], top: Path = TOP) -> int:
    """0; 1 with the reason when it is not ready; 2 for a wrong command line."""
    flags, versions = [each for each in arguments if each.startswith("-")], arguments[-1:]
    if flags not in ([], ["--notes"]) or len(arguments) != len(flags) + 1 or versions == flags:
        sys.stderr.write("usage: python -m charts.release [--notes] VERSION\n")
        return 2
    version = versions[0]
    try:
        if flags:
            sys.stdout.write(notes((top / CHANGELOG).read_text(encoding="utf-8"), version) + "\n")
        else:
            prepare(top, version, dt.datetime.now(dt.UTC).date().isoformat())
            sys.stderr.write(f"next: make test, commit, git tag -s v{version}\n")
    except Unready as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
