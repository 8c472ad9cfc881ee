"""What is released: versions, their notes, and the step that writes both."""

import re
import shutil
from pathlib import Path

import pytest
import yaml

from charts import release

TOP = release.TOP
DATE = "2026-01-31"
CHANGELOG = """# Changelog

Intro.

## [Unreleased]

### Fixed
- A thing.

## [0.2.0] - 2026-01-01

### Added
- Another thing.
"""


def test_versions_are_ordered_and_a_candidate_comes_before_its_release() -> None:
    versions = ["1.0.0", "0.2.0", "0.10.0", "0.2.0-rc.2", "0.1.9", "0.2.0-rc.1"]
    assert sorted(versions, key=release.order) == [versions[each] for each in (4, 5, 3, 1, 2, 0)]


@pytest.mark.parametrize("text", ["v0.2.0", "0.2", "0.2.0rc1", "latest", "", "0.2.0-rc.1.2"])
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(release.Unready, match="is no version"):
        release.order(text)


def test_a_release_takes_what_was_unreleased() -> None:
    after = release.sections(release.cut(CHANGELOG, "0.3.0", DATE))
    assert list(after) == ["Unreleased", "0.3.0", "0.2.0"]
    assert after == {"Unreleased": "", "0.3.0": "### Fixed\n- A thing.", "0.2.0": "### Added\n- Another thing."}


@pytest.mark.parametrize(
    ("changelog", "version", "message"),
    [
        (CHANGELOG, "0.2.0", "0.2.0 is not above 0.2.0"),
        (CHANGELOG, "0.2.0-rc.1", "0.2.0-rc.1 is not above 0.2.0"),
        (CHANGELOG.replace("### Fixed\n- A thing.\n", ""), "0.3.0", r"no section \[Unreleased\], or an empty one"),
    ],
)
def test_a_release_that_is_not_the_next_is_refused(changelog: str, version: str, message: str) -> None:
    with pytest.raises(release.Unready, match=message):
        release.cut(changelog, version, DATE)


def test_preparing_writes_one_version_everywhere_or_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in (release.CHANGELOG, release.PACKAGE, release.CHART):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(TOP / name, tmp_path / name)
    before = {path: path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    assert release.main(["0.9"], tmp_path) == 1
    assert {path: path.read_text() for path in before} == before
    assert release.main(["99.0.0-rc.1"], tmp_path) == 0
    assert '__version__ = "99.0.0rc1"' in (tmp_path / release.PACKAGE).read_text()
    described = yaml.safe_load((tmp_path / release.CHART).read_text())
    assert (described["version"], described["appVersion"]) == ("99.0.0-rc.1", "99.0.0-rc.1")
    capsys.readouterr()
    assert release.main(["--notes", "99.0.0-rc.1"], tmp_path) == 0
    assert capsys.readouterr().out.strip() == release.sections((TOP / release.CHANGELOG).read_text())["Unreleased"]
    assert release.main(["99.0.0-rc.1"], tmp_path) == 1, "there is nothing to release any more"


@pytest.mark.parametrize("arguments", [[], ["--notes"], ["0.1.0", "0.2.0"], ["--what", "0.1.0"]])
def test_a_wrong_command_line_writes_nothing(arguments: list[str], tmp_path: Path) -> None:
    assert release.main(arguments, tmp_path) == 2


def test_the_projects_own_changelog_can_be_released() -> None:
    changelog = (TOP / release.CHANGELOG).read_text()
    assert next(iter(release.sections(changelog))) == "Unreleased"
    known = {"Breaking", "Changed", "Fixed", "Added", "Security"}
    for text in release.sections(changelog).values():
        assert set(re.findall(r"(?m)^### (.+)$", text)) <= known
