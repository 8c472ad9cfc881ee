"""`fedctl compare report`: raw data of one or several runs to one report."""

from pathlib import Path

import click

from federation.cli import options
from federation.cli.verbs import Verb

EXAMPLES = """
  fedctl compare report comparison/run.json                # report.html and report.md beside it
  fedctl compare report ours/run.json kubefed.json -o both  # two runs in one report
"""


@click.command("report", cls=Verb, examples=EXAMPLES)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Where report.html and report.md go. Default: beside the first FILE.",
)
def command(*, files: tuple[Path, ...], output: Path | None) -> None:
    """Make one report of raw data; a directory means its run.json.

    Verdicts are about the machine of the first FILE. Rounds of several runs of one version on one machine are put
    together. What comes from another machine is marked, and compared in counts and by ratio to the bare client, never
    in times. The same files give the same report. Without the extra `compare` it has no charts, and says so.
    """
    from federation.cli import printing  # noqa: PLC0415
    from federation.comparing import drawing, publishing  # noqa: PLC0415

    folder = output or (files[0] if files[0].is_dir() else files[0].parent)
    try:
        made = publishing.publish([publishing.read(path) for path in files], folder)
    except (OSError, ValueError) as error:
        raise click.ClickException(str(error)) from None
    rows = [(str(each.claim.number), each.claim.title, each.text) for each in made.verdicts]
    printing.table(("#", "CLAIM", "VERDICT"), rows)
    if not drawing.can_draw():
        options.report("without charts: pip install 'kubefed-successor[compare]' brings what draws them")
    options.report(f"{folder / publishing.HTML} and {folder / publishing.MARKDOWN} are written")
