"""`fedctl plan`: what a change of the hub would do in every member, before it is applied."""

import pathlib
from typing import TYPE_CHECKING, Any

import click

from federation.cli import options
from federation.cli.options import Function, Host
from federation.cli.verbs import State, Verb

if TYPE_CHECKING:
    from federation.preview.making import How, Made
    from federation.preview.saved import Sources
    from federation.preview.wishes import Given

EXAMPLES = """
  fedctl plan -f apps/                                # folders with all that is below
  fedctl plan -f web.yaml --delete
  fedctl plan -k overlays/prod                        # as kustomize builds it
  kustomize build --enable-helm . | fedctl plan -f - -o summary
  fedctl plan -f apps/ --out change.plan              # then: fedctl apply --plan change.plan
"""
NOTHING, CHANGES, REFUSED = 0, 1, 3


def how(function: Function) -> Function:
    """Add the flags that say how members are asked and how the hub is written."""
    function = options.timeout(default="10s", text="How long a member may take for its first answer")(function)
    function = options.switch(
        "--stored-credentials", text="Ask members as the controller, with what the hub has stored, not as you."
    )(function)
    return click.option(
        "--field-manager",
        default="",
        metavar="NAME",
        help="Who writes to the hub. Default: whoever has applied the object before, else fedctl.",
    )(function)


@click.command("plan", cls=Verb, examples=EXAMPLES)
@click.option("-f", "--filename", "files", multiple=True, metavar="PATH", help="Files or folders; - is stdin.")
@click.option("-k", "--kustomize", "kustomization", default="", metavar="DIR", help="What kustomize makes of a folder.")
@click.option("-R", "--recursive", is_flag=True, help="Accepted as by kubectl: folders are always read so.")
@click.option("-n", "--namespace", default="", metavar="NAME", help="Default: the context's namespace, else default.")
@click.option("--delete", is_flag=True, help="Plan the deletion of these objects at the hub.")
@options.switch("--values", default=True, text="Show the values of fields. Those of Secrets are never shown.")
@click.option("--out", default="", metavar="FILE", help="Keep the plan in a file, for fedctl apply --plan.")
@how
@options.host
@options.output("json", "yaml", "summary")
def command(
    *,
    files: tuple[str, ...],
    kustomization: str,
    namespace: str,
    delete: bool,
    values: bool,
    out: str,
    field_manager: str,
    stored_credentials: bool,
    timeout: float,
    host: Host,
    output: str | None,
    **_: Any,
) -> int:
    """Show what these documents would do in every member if they were applied to the hub, and write nothing.

    The hub and each member check the change by dry runs: what is created, changed, adopted, recreated, deleted and
    refused there, in the member's own words. Of a FederatedNamespace, KubeFedCluster, FederatedTypeConfig or
    KubeFedConfig everything is shown that moves; of an object under a FederatedRollout what is released now, and which
    clusters wait for which stage. -k builds with the kustomize, else the kubectl, in your PATH. Members are asked by
    the contexts of your kubeconfig, or with the credentials that the hub has stored, if you may read them; one that
    does not answer is unknown. Exit code 0: nothing changes, 1: something does, 2 and above: it cannot be planned, or
    (3) a member refuses it.
    """
    from federation.preview.making import How  # noqa: PLC0415
    from federation.preview.saved import Sources  # noqa: PLC0415

    if bool(files) == bool(kustomization):
        raise click.UsageError("give either -f or -k")
    wanted = How(namespace, field_manager, delete, values, stored_credentials, timeout)
    try:
        code: int = options.run(_plan(host, Sources(files, kustomization), wanted, output, out))
    except click.ClickException:
        raise
    except Exception as error:
        from federation.cli import failing  # noqa: PLC0415

        verbose = click.get_current_context().ensure_object(State).verbose
        failing.report(error, name="fedctl plan", verbose=verbose)
        return failing.USAGE  # 1 would say that something changes
    return code


async def _plan(host: Host, sources: "Sources", how: "How", output: str | None, out: str) -> int:
    from dataclasses import replace  # noqa: PLC0415

    from federation.cli import planned  # noqa: PLC0415
    from federation.joining.contexts import Contexts  # noqa: PLC0415
    from federation.joining.reaching import Reach  # noqa: PLC0415
    from federation.preview import making, saved  # noqa: PLC0415

    given = documents(sources)
    async with Contexts(host.kubeconfig) as contexts:
        connection = await contexts.open(host.context)
        how = replace(how, namespace=how.namespace or contexts.namespace(host.context))
        made = await making.make(Reach(contexts, connection, host.namespace), given, how, options.report)
    if out:
        _keep(out, saved.encode(made, how, sources))
    planned.show(made, output, values=how.values)
    return exit_code(made)


def _keep(out: str, content: bytes) -> None:
    """Write the plan to a file that only its owner reads. Raises Invalid."""
    from federation.model.errors import Invalid  # noqa: PLC0415

    try:
        file = pathlib.Path(out)
        file.touch(mode=0o600)
        file.chmod(0o600)  # one that was there before, too
        file.write_bytes(content)
    except OSError as error:
        raise Invalid("--out", f"{out} cannot be written: {error.strerror}") from None


def documents(sources: "Sources") -> list["Given"]:
    """The documents of files and folders, or of a kustomization. Raises Invalid."""
    from federation.cli import kustomizing, reading  # noqa: PLC0415
    from federation.model.errors import Invalid  # noqa: PLC0415
    from federation.preview.wishes import Given  # noqa: PLC0415

    folder = sources.kustomization
    found = kustomizing.documents(folder) if folder else reading.every(sources.files)
    if not found:
        raise Invalid(kustomizing.FLAG if folder else "-f", "there is no document in what was given")
    return [Given(each.at(), each.value) for each in found]


def exit_code(made: "Made") -> int:
    """0: nothing changes, 1: something does, 3: a member refuses it, or not all could be planned."""
    from federation.preview import document  # noqa: PLC0415

    if document.is_refused(made) or made.problems:
        return REFUSED
    return CHANGES if made.changes else NOTHING
