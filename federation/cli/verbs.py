"""Click, as fedctl uses it: verbs that are imported when used, flags as Go's programs accept them, examples in help."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import click
from click.shell_completion import CompletionItem

from federation import __version__
from federation.cli import goflags
from typegen import cli_errors

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


@dataclass(slots=True)
class State:
    """The state of one run; -v is set by the verb and read where errors are reported.

    `kubefedctl`: it was called by that name, and prints and ends as scripts expect of it.
    """

    verbose: int = 0
    kubefedctl: bool = False


TRACEBACKS = 6
"""The level from which -v shows every error's traceback, and the level of -v without a number."""


class _Helped(click.Command):
    """Examples below the options, as they are written."""

    def __init__(self, *args: Any, examples: str = "", **kwargs: Any) -> None:
        kwargs.setdefault("context_settings", CONTEXT)
        super().__init__(*args, **kwargs)
        self.examples = examples.strip("\n")
        self.params += [
            goflags.LevelFlag(
                ["-v", "--v", "--verbose"],
                bare=str(TRACEBACKS),
                type=click.IntRange(min=0),
                expose_value=False,
                callback=_verbose,
                metavar="[=LEVEL]",
                help=f"Print more; without LEVEL, or from level {TRACEBACKS}, every error with its traceback.",
            ),
        ]

    def rewritten(self, ctx: click.Context, args: list[str]) -> list[str]:
        """The command line as click reads it (goflags)."""
        made = goflags.rewrite(args, self.get_params(ctx), ctx)
        if made.ignored and not ctx.resilient_parsing:
            flags = ", ".join(dict.fromkeys(made.ignored))
            click.echo(f"note: {flags}: accepted as by kubefedctl, but no effect: fedctl writes no log", err=True)
        return made.line

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples."""
        super().format_epilog(ctx, formatter)
        if self.examples:
            formatter.write_paragraph()
            formatter.write("Examples:\n")
            formatter.write(self.examples + "\n")


class Verb(_Helped):
    """One command."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments, as kubefedctl's users may write them."""
        return super().parse_args(ctx, self.rewritten(ctx, args))


class LazyGroup(_Helped, click.Group):
    """A group whose help needs no import of its verbs.

    `verbs` maps each name to its line of help (by default those of the `commands`); the command is one of `commands`,
    or `command` in the module `<package>.<prefix><name>`.
    """

    def __init__(
        self,
        *args: Any,
        verbs: Mapping[str, str] | None = None,
        package: str = "",
        prefix: str = "",
        version: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.package = package
        self.prefix = prefix
        self.verbs = verbs or {name: _first_line(each.help) for name, each in self.commands.items()}
        if version:
            self.params.append(
                click.Option(
                    ["--version"], is_flag=True, expose_value=False, is_eager=True, callback=_version, help="Show it."
                )
            )

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments: flags before the verb are the verb's; without a verb they are the group's."""
        ordered = goflags.verb_first(args, self.verbs)
        if ordered and not ordered[0].startswith("-"):
            return super().parse_args(ctx, ordered)
        return super().parse_args(ctx, self.rewritten(ctx, ordered))

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs, in the order of their table."""
        return list(self.verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the verb's module."""
        if cmd_name in self.commands or cmd_name not in self.verbs:
            return super().get_command(ctx, cmd_name)
        module = importlib.import_module(f"{self.package}.{self.prefix}{cmd_name.replace('-', '_')}")
        found: click.Command = module.command
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The verb, or a usage error that names the nearest one."""
        if args and args[0] not in self.verbs and not args[0].startswith("-"):
            raise cli_errors.unknown_command(args[0], self.verbs, ctx)
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The verbs that begin so, without importing any."""
        found = [CompletionItem(name, help=text) for name, text in self.verbs.items() if name.startswith(incomplete)]
        return found + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table without importing anything."""
        if self.verbs:
            with formatter.section("Commands"):
                formatter.write_dl(list(self.verbs.items()))


def as_kubefedctl() -> bool:
    """Whether this run was called kubefedctl."""
    ctx = click.get_current_context(silent=True)
    state = ctx.find_object(State) if ctx is not None else None
    return state is not None and state.kubefedctl


def _first_line(text: str | None) -> str:
    return (text or "").strip().partition("\n")[0]


def _verbose(ctx: click.Context, _: click.Parameter, value: int | None) -> None:
    if value:
        ctx.ensure_object(State).verbose = max(ctx.ensure_object(State).verbose, value)


def _version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        click.echo(f"fedctl {__version__}")
        ctx.exit()
