"""`fedctl apply --plan FILE`: write what was planned to the hub, if everything is still as it was then."""

import pathlib
from typing import TYPE_CHECKING

import click

from federation.cli import options
from federation.cli.options import Host
from federation.cli.verbs import Verb

if TYPE_CHECKING:
    from federation.preview.saved import Saved

EXAMPLES = """
  fedctl plan -f apps/ --out change.plan
  fedctl apply --plan change.plan
"""


@click.command("apply", cls=Verb, examples=EXAMPLES)
@click.option("--plan", "file", required=True, metavar="FILE", help="A plan that fedctl plan --out has kept.")
@options.timeout(default="10s", text="How long a member may take for its first answer")
@options.host
def command(*, file: str, timeout: float, host: Host) -> None:
    """Write the documents of a plan to the hub, if nothing has moved since it was made.

    Everything is planned once more. Where an object of the hub or of a member, or a member itself, is not as it was, or
    the controller would do something else now, nothing is written. Documents that hold a Secret's values are read again
    from the files that they came from, and must be the same.
    """
    options.run(_apply(host, file, timeout))


async def _apply(host: Host, file: str, timeout: float) -> None:
    from federation.cli import plan, planned, printing  # noqa: PLC0415
    from federation.joining.contexts import Contexts  # noqa: PLC0415
    from federation.joining.errors import Refused  # noqa: PLC0415
    from federation.joining.reaching import Reach  # noqa: PLC0415
    from federation.preview import carrying, document, making, saved  # noqa: PLC0415

    kept = _read(file)
    if kept.system_namespace != host.namespace:
        raise Refused(f"{file} was made for --kubefed-namespace {kept.system_namespace}")
    given = saved.documents(kept, plan.documents)
    async with Contexts(host.kubeconfig) as contexts:
        connection = await contexts.open(host.context)
        reach = Reach(contexts, connection, host.namespace)
        made = await making.make(reach, given, kept.how(timeout), options.report)
        if (moved := saved.moved(kept, made)).what:
            raise Refused(f"nothing was written, because this has moved since: {moved.message}", "plan again")
        for line in planned.summary(document.of(made)):
            options.report(printing.plain(line))
        written = await carrying.write(connection, made, options.report)
    if written:
        options.report("next: the controller brings it to the members; fedctl status KIND NAME shows how far it is")
    else:
        options.report("nothing to do: the hub is as the plan wants it")


def _read(file: str) -> "Saved":
    """The plan in a file. Raises Invalid."""
    from federation.model.errors import Invalid  # noqa: PLC0415
    from federation.preview import saved  # noqa: PLC0415

    try:
        content = pathlib.Path(file).read_bytes()
    except OSError as error:
        raise Invalid(file, f"cannot be read: {error.strerror}") from None
    return saved.decode(content, file)
