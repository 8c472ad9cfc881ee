"""How typegen reports errors: `error: <what failed>` and `next: <what to do>` on stderr, as fedctl does."""

import difflib
import functools
import sys
from collections.abc import Collection, Sequence
from typing import Any

import click


class PlainGroup(click.Group):
    """A group that reports wrong usage in two lines, with the nearest command for one that does not exist."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        *rest: Any,
        standalone_mode: bool = True,
        **kwargs: Any,
    ) -> Any:
        """Run one command line."""
        run = functools.partial(super().main, args, prog_name, *rest, standalone_mode=False, **kwargs)
        if not standalone_mode:
            return run()
        try:
            code: object = run()
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.format_message(), err=True)
            sys.exit(error.exit_code)
        except click.ClickException as error:
            report(error)
            sys.exit(error.exit_code)
        except click.Abort:
            click.echo("interrupted", err=True)
            sys.exit(130)
        sys.exit(code if isinstance(code, int) else 0)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command, or a usage error that names the nearest one."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            raise unknown_command(args[0], self.commands, ctx)
        return super().resolve_command(ctx, args)


class UnknownCommand(click.UsageError):
    """There is no command of this name."""


def unknown_command(name: str, known: Collection[str], ctx: click.Context) -> UnknownCommand:
    """The usage error for a command that does not exist, with the nearest one, or all, in its message."""
    near = difflib.get_close_matches(name, known, n=1)
    after = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
    return UnknownCommand(f"no such command {name!r}; {after}", ctx)


def report(error: click.ClickException) -> None:
    """Print an error of click's."""
    message = error.format_message()
    click.echo(f"error: {message[:1].lower()}{message[1:].rstrip('.')}", err=True)
    if isinstance(error, click.UsageError):
        click.echo(f"next: {error.ctx.command_path if error.ctx else 'typegen'} --help", err=True)
