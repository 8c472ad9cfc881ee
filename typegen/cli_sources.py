"""What all commands of `typegen` share: sources and options on the command line, and how errors are reported."""

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
    from typegen.sources import Opened

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
        "--name", multiple=True, metavar="PLURAL.GROUP=KIND[/PLURAL]", help="Names for a type's federated type."
    ),
    click.option("--federated-group", default="", metavar="GROUP", help="[default: types.kubefed.io]"),
    click.option("--federated-version", default="", metavar="VERSION", help="[default: v1beta1]"),
    click.option(
        "--system-namespace", default="", metavar="NAMESPACE", help="KubeFed's.  [default: kube-federation-system]"
    ),
    click.option(
        "--descriptions", type=_DESCRIPTIONS, default=None, help="Default auto: as much as kubectl apply can store."
    ),
    click.option("--optional", multiple=True, metavar="FIELD", help="A required field that only overrides set."),
    click.option(
        "--aggregate-to",
        multiple=True,
        metavar="ROLES",
        help="Kubernetes' roles with rights on the types: view,edit,admin or none.  [default: as on the target]",
    ),
    click.option(
        "--member-account",
        default="",
        metavar="NAME",
        help="The controller's service account in members.  [default: kubefed-controller]",
    ),
    click.option(
        "--scope",
        type=click.Choice(["Cluster", "Namespaced"]),
        default=None,
        help="The KubeFedConfig's; with Namespaced the controller has rights in the system namespace alone.",
    ),
    click.option("--templates", default="", metavar="DIR", help="Your own templates, used instead of typegen's."),
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
    "member_account",
    "scope",
)


def options(command: _Command) -> _Command:
    """The options by which types are selected and made."""
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
        if error.hint:
            click.echo(f"next: {error.hint}", err=True)
        sys.exit(2)


def gather(sources: tuple[str, ...], *, everything: bool = False, **chosen: Any) -> "tuple[Settings, Gathered]":
    """The settings of this run, and the types of its sources.

    With `everything`, all built-in types of an OpenAPI document are selected by default. Ends the command when there is
    nothing to federate.
    """
    from typegen import gathering, names  # noqa: PLC0415

    settings = chosen_settings(sources, **chosen)
    names.check_places(settings.options)
    if everything and not settings.choosing:
        settings = dataclasses.replace(settings, groups=("*",))
    gathered = gathering.gather(read(settings, openapi=chosen["openapi"], context=chosen["context"]), settings)
    if not gathered.made and not gathered.refused:
        named = ", ".join([*settings.sources, *chosen["openapi"], *filter(None, [chosen["context"]])])
        choosing = settings.choosing or settings.exclude
        reason = "no type there is selected" if choosing else "it has no CustomResourceDefinition"
        click.echo(f"error: nothing to federate in {named}: {reason}", err=True)
        sys.exit(1)
    return settings, gathered


def chosen_settings(sources: tuple[str, ...], *, output: str = "", config: str = "", **chosen: Any) -> "Settings":
    """The flags, and where they are not given typegen.yaml; that is read with --config, or when no source is given."""
    from typegen import settings as given  # noqa: PLC0415
    from typegen import userroles  # noqa: PLC0415

    named = bool(sources or chosen["openapi"] or chosen["context"])
    if not config and not named:
        if not Path(given.FILE).is_file():
            raise click.UsageError(f"missing argument 'SOURCE...', and there is no {given.FILE} here")
        config = given.FILE
    base = given.load(config) if config else given.Settings()
    changes = {name: chosen[name] for name in _DIRECT if chosen.get(name)}
    if chosen.get("aggregate_to"):
        changes["aggregate_to"] = userroles.parse(chosen["aggregate_to"], "--aggregate-to")
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
        from typegen.model import Unusable  # noqa: PLC0415

        opened: Opened | None = click.get_current_context().find_root().obj
        if opened is None:
            raise Unusable(f"context {context}: clusters are read by the installed command typegen only")
        yield from cluster.read(
            context, opened, built_in=settings.choosing, report=lambda text: click.echo(f"warning: {text}", err=True)
        )
