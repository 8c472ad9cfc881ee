"""`fedctl completion`: the script that makes a shell complete fedctl's command lines."""

import click

from federation.cli.verbs import Verb

EXAMPLES = """
  source <(fedctl completion bash)                    # in ~/.bashrc
  source <(fedctl completion zsh)                     # in ~/.zshrc, after compinit
  fedctl completion fish > ~/.config/fish/completions/fedctl.fish
"""


@click.command("completion", cls=Verb, examples=EXAMPLES)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completion script of SHELL."""
    from click import shell_completion  # noqa: PLC0415

    kind = shell_completion.get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"no completion for {shell}")
    made = kind(ctx.find_root().command, {}, "fedctl", "_FEDCTL_COMPLETE")
    # Not made.source(): it checks the version of the bash in PATH, which may not be the one that reads the script.
    click.echo(made.source_template % made.source_vars())
