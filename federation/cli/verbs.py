"""Click, as fedctl uses it: verbs that are imported when used, Go's way of writing flags, examples in every help."""

import difflib
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import click
from click.shell_completion import CompletionItem

from federation import __version__

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


@dataclass(slots=True)
class State:
    """What holds for one run; -v is given to the verb and read where its errors end."""

    verbose: int = 0


class GoFlag(click.Option):
    """A flag that kubefedctl's users write as `--flag`, `--flag=true` or `--flag=false`.

    `bare` is what the flag alone means. Click would take the next argument for its value; `Verb.parse_args` says it.
    """

    def __init__(self, *args: Any, bare: str = "true", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.bare = bare


class _Helped(click.Command):
    """Examples below the options, as they are written."""

    def __init__(self, *args: Any, examples: str = "", **kwargs: Any) -> None:
        kwargs.setdefault("context_settings", CONTEXT)
        super().__init__(*args, **kwargs)
        self.examples = examples.strip("\n")
        self.params += [
            click.Option(["-v", "--verbose"], count=True, expose_value=False, callback=_verbose, help="Say more."),
            click.Option(["--v"], type=int, expose_value=False, callback=_verbose, hidden=True),
        ]

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
        """Read the arguments; GoFlags given bare are spelt out first."""
        bare = {name: param.bare for param in self.params if isinstance(param, GoFlag) for name in param.opts}
        end = args.index("--") if "--" in args else len(args)
        spelt = [f"{each}={bare[each]}" if each in bare else each for each in args[:end]]
        return super().parse_args(ctx, spelt + args[end:])


class LazyGroup(_Helped, click.Group):
    """A group whose help needs no import of its verbs.

    `verbs` maps each name to its line of help; the command is one of `commands`, or `command` in the module
    `<package>.<name>`.
    """

    def __init__(
        self, *args: Any, verbs: Mapping[str, str], package: str = "", version: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.package = package
        self.verbs = verbs
        if version:
            self.params.append(
                click.Option(
                    ["--version"], is_flag=True, expose_value=False, is_eager=True, callback=_version, help="Show it."
                )
            )

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs, in the order of their table."""
        return list(self.verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the verb's module."""
        if cmd_name in self.commands or cmd_name not in self.verbs:
            return super().get_command(ctx, cmd_name)
        module = importlib.import_module(f"{self.package}.{cmd_name.replace('-', '_')}")
        found: click.Command = module.command
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The verb, or a usage error that names the nearest one."""
        if args and args[0] not in self.verbs and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], self.verbs, n=1)
            after = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(self.verbs)}"
            raise click.UsageError(f"no such command {args[0]!r}{after}", ctx)
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The verbs that begin so, without importing any."""
        found = [CompletionItem(name, help=text) for name, text in self.verbs.items() if name.startswith(incomplete)]
        return found + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self.verbs.items()))


def _verbose(ctx: click.Context, _: click.Parameter, value: int | None) -> None:
    if value:
        ctx.ensure_object(State).verbose = max(ctx.ensure_object(State).verbose, value)


def _version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        click.echo(f"fedctl {__version__}")
        ctx.exit()
