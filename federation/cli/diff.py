"""`fedctl diff`: what members hold against what they should hold, with kubectl diff's exit codes."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from federation.cli import completing, failing, looking, options
from federation.cli.looking import Where
from federation.cli.verbs import State, Verb

if TYPE_CHECKING:
    from federation.joining.reaching import Reach
    from federation.model.resources import Key
    from federation.preview.wishes import Wish
    from federation.seeing.diffing import Compared
    from federation.seeing.standing import Outlook

EXAMPLES = """
  fedctl diff deployment web -n shop                  # what differs in members now
  fedctl diff deploy web -n shop --cluster east
  fedctl diff -f web.yaml                             # what would differ once this was applied at the hub
  KUBECTL_EXTERNAL_DIFF="colordiff -N -u" fedctl diff deploy web -n shop
"""
SAME, DIFFERS = 0, 1


@click.command("diff", cls=Verb, examples=EXAMPLES)
@click.argument("kind", required=False, default="", metavar="[KIND", shell_complete=completing.types)
@click.argument("name", required=False, default="", metavar="NAME]", shell_complete=completing.objects)
@click.option("-f", "--filename", "files", multiple=True, metavar="PATH", help="Files or folders; - is stdin.")
@click.option("-R", "--recursive", is_flag=True, help="Accepted as by kubectl: folders are always read so.")
@click.option("--field-manager", default="", metavar="NAME", help="With -f: who would write to the hub; as for plan.")
@looking.members
def command(*, kind: str, name: str, files: tuple[str, ...], recursive: bool, field_manager: str, where: Where) -> int:
    """Compare what members hold of a federated object with what they should hold, by dry runs of their API servers.

    With -f, what the hub and the members hold is compared with what they would if the documents were applied at the
    hub. What a cordon, a rollout or a policy leaves as it is, is compared all the same, and noted. Values of Secrets
    are masked, as by kubectl. The environment variable KUBECTL_EXTERNAL_DIFF names another program that compares.
    Members are asked by the contexts of your kubeconfig, or with the credentials that the hub has stored, if you may
    read them. Exit code 0: nothing differs, 1: something does, above: something could not be compared.
    """
    del recursive
    kind, name = looking.named(kind, name)
    if bool(kind) == bool(files):
        raise click.UsageError("give KIND NAME, or -f FILE")
    try:
        code: int = options.run(_diff(where, (kind, name), files, field_manager))
    except click.ClickException:
        raise
    except Exception as error:
        verbose = click.get_current_context().ensure_object(State).verbose
        failing.report(error, name="fedctl diff", verbose=verbose)
        return failing.USAGE  # 1 would say that something differs
    return code


async def _diff(where: Where, what: tuple[str, str], files: Sequence[str], manager: str) -> int:
    from federation.cli import differing, printing  # noqa: PLC0415
    from federation.seeing.diffing import Compared  # noqa: PLC0415

    found = Compared()
    async with where.reach() as (reach, namespace):
        if files:
            outlook, keys = await _documents(reach, namespace, files, manager, found)
        else:
            outlook, keys = await _object(reach, namespace, what)
        await _compare(reach, where, outlook, keys, found)
    for note in dict.fromkeys(found.notes):
        options.report(f"note: {printing.plain(note)}")
    for cluster, why in found.failed.items():
        options.report(f"error: {cluster} could not be compared: {printing.plain(why)}")
    differs = differing.show(found.pairs)
    if found.failed or outlook.problems:
        return failing.PARTIAL
    return DIFFERS if differs else SAME


async def _object(reach: "Reach", namespace: str, what: tuple[str, str]) -> "tuple[Outlook, Sequence[Key]]":
    from federation.seeing import standing, subjects  # noqa: PLC0415

    subject = await subjects.find(reach, *what, namespace)
    outlook = await standing.read(reach, [subject.key], anew=True)
    if outlook.state(subject.key) is None:
        options.report(f"note: {outlook.unfollowed(subject.key)}")
        return outlook, []
    return outlook, [subject.key]


async def _documents(
    reach: "Reach", namespace: str, files: Sequence[str], manager: str, found: "Compared"
) -> "tuple[Outlook, Sequence[Key]]":
    """The hub as it would be with the documents, and their federated objects; what differs at the hub is `found`."""
    from federation.cli import plan  # noqa: PLC0415
    from federation.preview.making import How  # noqa: PLC0415
    from federation.preview.saved import Sources  # noqa: PLC0415
    from federation.seeing import applied  # noqa: PLC0415

    given = plan.documents(Sources(tuple(files)))
    wishes, outlook, keys = await applied.read(reach, given, How(namespace, manager))
    for wish in wishes:
        _at_hub(wish, found)
    found.notes += [outlook.unfollowed(key) for key in keys if outlook.state(key) is None]
    return outlook, [key for key in keys if outlook.state(key) is not None]


def _at_hub(wish: "Wish", found: "Compared") -> None:
    found.add("hub", wish.before, wish.after, secret=wish.secret)
    if wish.note:
        found.notes.append(f"{wish.label}: {wish.note}")


async def _compare(reach: "Reach", where: Where, outlook: "Outlook", keys: "Sequence[Key]", found: "Compared") -> None:
    from federation.joining import fleet  # noqa: PLC0415
    from federation.seeing import diffing, subjects  # noqa: PLC0415

    members = outlook.members(list(outlook.hub.clusters))
    known = fleet.Fleet(outlook.hub.uid, tuple(members))
    asked = {each.name for each in subjects.chosen(known, members, where.clusters)}
    wanted: dict[str, list[Key]] = {}
    for key in keys:
        for cluster in outlook.concerned(key):
            if cluster in asked:
                wanted.setdefault(cluster, []).append(key)
    _note(outlook, keys, asked, found)
    compared = await diffing.compare(reach, outlook, wanted, where.how, options.report)
    found.pairs += compared.pairs
    found.notes += compared.notes
    found.failed |= compared.failed


def _note(outlook: "Outlook", keys: "Sequence[Key]", asked: "set[str]", found: "Compared") -> None:
    """What is compared though the controller leaves it as it is."""
    from federation.core import cordons  # noqa: PLC0415
    from federation.model import marks  # noqa: PLC0415
    from federation.model.resources import ObjectName  # noqa: PLC0415

    for key in keys:
        state = outlook.state(key)
        item = state.objects.get(ObjectName(key.namespace, key.name)) if state is not None else None
        rollout = item.metadata.labels.get(marks.ROLLOUT_LABEL) if item is not None else None
        if rollout:
            text = f"{key}: FederatedRollout {rollout} releases it in stages: compared is what it comes to in the end"
            found.notes.append(text)
    clusters: Mapping[str, object] = outlook.hub.clusters
    for name in sorted(asked & clusters.keys()) if keys else ():
        if cordons.reason(outlook.hub.clusters[name].metadata.annotations) is not None:
            found.notes.append(f"{name} is cordoned: nothing is written there until it is uncordoned")
