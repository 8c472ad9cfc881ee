"""What all commands of `typegen` share: sources and options on the command line, and how errors are told."""

import contextlib
import dataclasses
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from typegen.documents import Found
    from typegen.gathering import Gathered
    from typegen.settings import Settings

_Command = Callable[..., Any]
_DESCRIPTIONS = click.Choice(["auto", "keep", "short", "drop"])

arguments = click.argument("sources", nargs=-1, metavar="[SOURCE]...")

_OPTIONS = (
    click.option("--only", multiple=True, metavar="KIND", help="Only this kind, plural or plural.group; may repeat."),
    click.option("--group", multiple=True, metavar="GROUP", help="Only this API group; * for any text; may repeat."),
    click.option("--exclude", multiple=True, metavar="KIND", help="Not this kind, plural or plural.group; may repeat."),
    click.option("--openapi", multiple=True, metavar="FILE", help="An API server's OpenAPI document, v3 or v2."),
    click.option("--context", default="", metavar="NAME", help="A cluster of the kubeconfig as a source."),
    click.option("--version", default="", metavar="VERSION", help="The target's version; default: the preferred one."),
    click.option(
        "--name", multiple=True, metavar="PLURAL.GROUP=KIND[/PLURAL]", help="What a type is called when federated."
    ),
    click.option("--federated-group", default="", metavar="GROUP", help="[default: types.kubefed.io]"),
    click.option("--federated-version", default="", metavar="VERSION", help="[default: v1beta1]"),
    click.option(
        "--system-namespace", default="", metavar="NAMESPACE", help="KubeFed's.  [default: kube-federation-system]"
    ),
    click.option(
        "--descriptions", type=_DESCRIPTIONS, default=None, help="Default auto: as much as kubectl apply can store."
    ),
    click.option("--optional", multiple=True, metavar="FIELD", help="A required field that only overrides supply."),
    click.option("--templates", default="", metavar="DIR", help="Your own templates, before typegen's."),
    click.option("--config", default="", metavar="FILE", help="Default without SOURCE: typegen.yaml, if there."),
)
_DIRECT = (
    "version",
    "federated_group",
    "federated_version",
    "system_namespace",
    "descriptions",
    "optional",
    "templates",
)


def options(command: _Command) -> _Command:
    """The options by which types are chosen and shaped."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@contextlib.contextmanager
def plain_errors() -> Iterator[None]:
    """A source that cannot be read ends the command with its message and exit code 2."""
    from typegen.model import Unusable  # noqa: PLC0415

    try:
        yield
    except Unusable as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)


def gather(sources: tuple[str, ...], *, everything: bool = False, **chosen: Any) -> "tuple[Settings, Gathered]":
    """The settings of this run and what its sources hold.

    `everything` takes the built-in types of an OpenAPI document without being asked by name. Ends the command when
    there is nothing to work on.
    """
    from typegen import gathering  # noqa: PLC0415

    settings = chosen_settings(sources, **chosen)
    if everything and not settings.choosing:
        settings = dataclasses.replace(settings, groups=("*",))
    gathered = gathering.gather(read(settings, openapi=chosen["openapi"], context=chosen["context"]), settings)
    if not gathered.made and not gathered.refused:
        named = ", ".join([*settings.sources, *chosen["openapi"], *filter(None, [chosen["context"]])])
        choosing = settings.choosing or settings.exclude
        reason = "no type there is selected" if choosing else "no CustomResourceDefinition is among it"
        click.echo(f"error: nothing to federate in {named}: {reason}", err=True)
        sys.exit(1)
    return settings, gathered


def chosen_settings(sources: tuple[str, ...], *, output: str = "", config: str = "", **chosen: Any) -> "Settings":
    """What the flags say, over what typegen.yaml says where it is read: by --config, or when no source is named."""
    from typegen import settings as given  # noqa: PLC0415

    named = bool(sources or chosen["openapi"] or chosen["context"])
    if not config and not named:
        if not Path(given.FILE).is_file():
            raise click.UsageError(f"Missing argument 'SOURCE...', and there is no {given.FILE} here.")
        config = given.FILE
    base = given.load(config) if config else given.Settings()
    changes = {name: chosen[name] for name in _DIRECT if chosen.get(name)}
    names: dict[str, dict[str, Any]] = {name: dict(own) for name, own in base.types.items()}
    for text in chosen["name"]:
        target, own = given.named(text)
        names[target] = {**names.get(target, {}), **own}
    return dataclasses.replace(
        base,
        sources=sources if named else base.sources,
        output=output or base.output,
        only=frozenset(name.lower() for name in chosen["only"]) or base.only,
        groups=tuple(chosen["group"]) or base.groups,
        exclude=(*base.exclude, *(pattern.lower() for pattern in chosen["exclude"])),
        options=dataclasses.replace(base.options, **changes),
        types=names,
    )


def read(settings: "Settings", *, openapi: tuple[str, ...] = (), context: str = "") -> "Iterator[Found]":
    """Every document of the sources, one after the other."""
    from typegen import documents  # noqa: PLC0415

    yield from documents.read([*settings.sources, *openapi])
    if context:
        from typegen import cluster  # noqa: PLC0415

        yield from cluster.read(
            context, built_in=settings.choosing, report=lambda text: click.echo(f"warning: {text}", err=True)
        )
