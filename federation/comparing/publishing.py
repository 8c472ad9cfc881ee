"""Read raw data from files and write the report beside them: the edge of `report`."""

from collections.abc import Sequence
from pathlib import Path

from federation.comparing import model, report
from federation.comparing.model import Run
from federation.comparing.report import Report

RUN = "run.json"
HTML, MARKDOWN = "report.html", "report.md"


def read(path: Path) -> Run:
    """The run in a file, or in a directory's run.json. Raises OSError, and ValueError that names the file."""
    file = path / RUN if path.is_dir() else path
    try:
        return model.decode(file.read_bytes())
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None


def publish(runs: Sequence[Run], folder: Path) -> Report:
    """Write report.html and report.md of `runs` into `folder`, each whole or not at all. Raises as report.make."""
    made = report.make(runs)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in ((HTML, made.html), (MARKDOWN, made.markdown)):
        unfinished = folder / f".{name}.unfinished"
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(folder / name)
    return made
