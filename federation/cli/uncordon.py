"""`fedctl uncordon`: write to these members again."""

import click

from federation.cli import completing, cordon, options
from federation.cli.options import Host
from federation.cli.verbs import Verb


@click.command("uncordon", cls=Verb, examples="  fedctl uncordon east")
@click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=completing.clusters)
@options.host
@options.dry_run
def command(*, names: tuple[str, ...], host: Host, dry_run: str) -> None:
    """Write federated objects to the members NAME... again; whatever has waited is done now."""
    from federation.model.marks import CORDON_ANNOTATION  # noqa: PLC0415

    options.run(cordon.annotate(host, names, {CORDON_ANNOTATION: None}, dry_run=dry_run))
    done = "would be uncordoned (dry run)" if dry_run else "uncordoned"
    for name in dict.fromkeys(names):
        options.report(f"cluster {name} {done}")
