"""`fedctl help`: the help of a command, as in kubefedctl and kubectl."""

import click

from federation.cli.verbs import LazyGroup, Verb

EXAMPLES = """
  fedctl help
  fedctl help join
  fedctl help orphaning-deletion enable
"""


@click.command("help", cls=Verb, examples=EXAMPLES)
@click.argument("words", nargs=-1, metavar="[COMMAND...]")
@click.pass_context
def command(ctx: click.Context, words: tuple[str, ...]) -> None:
    """Show the help of COMMAND, as `fedctl COMMAND --help` does."""
    context = ctx.find_root()
    for word in words:
        group = context.command
        if not isinstance(group, LazyGroup):
            raise click.UsageError(f"{context.command_path} has no commands of its own", context)
        _, found, _ = group.resolve_command(context, [word])
        if found is None:
            raise click.UsageError(f"no such command {word!r}", context)
        context = click.Context(found, parent=context, info_name=word)
    click.echo(context.command.get_help(context))
