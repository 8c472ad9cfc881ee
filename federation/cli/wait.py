"""`fedctl wait`: until clusters or federated objects are as they are to be; exit code 1 where that takes too long."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from federation.cli import completing, failing, looking, options
from federation.cli.looking import Where
from federation.cli.verbs import Verb

if TYPE_CHECKING:
    from federation.joining.reaching import Reach
    from federation.model.resources import ObjectName, Resource
    from federation.seeing.waiting import Check

EXAMPLES = """
  fedctl wait clusters east west --for=ready --timeout 2m
  fedctl wait clusters --all --for=ready
  fedctl wait deployment web -n shop --for=propagated
  fedctl wait deployment/web -n shop --for=healthy --timeout 10m
  fedctl wait deployment web -n shop --for=gone
  fedctl wait deployment web -n shop --for=jsonpath='{.status.conditions[?(@.type=="Ready")].reason}'=Propagated
"""
_CLUSTERS = frozenset({"cluster", "clusters", "kubefedcluster", "kubefedclusters", "kubefedclusters.core.kubefed.io"})
_WORDS = ("ready", "propagated", "healthy", "gone", "create")
_WEEK = 7 * 86400.0


def _patience(text: str) -> float:
    """Seconds from a duration as `kubectl wait` takes it: 0 looks once, and a negative one is a week."""
    if text.startswith("-"):
        return _WEEK
    return 0.0 if text in ("0", "0s") else options.duration(text)


@click.command("wait", cls=Verb, examples=EXAMPLES)
@click.argument("kind", metavar="clusters|KIND", shell_complete=completing.waited)
@click.argument("names", nargs=-1, metavar="[NAME...]", shell_complete=completing.named)
@click.option(
    "--for",
    "wanted",
    required=True,
    metavar="WHAT",
    help="ready (clusters), propagated, healthy, gone (or delete), create, condition=TYPE[=STATUS] or "
    "jsonpath=PATH[=VALUE].",
)
@click.option("--all", "everything", is_flag=True, help="All clusters, or all objects of KIND in the namespace.")
@click.option("-l", "--selector", default="", metavar="SELECTOR", help="Those with these labels.")
@click.option(
    "--timeout",
    "patience",
    type=_patience,
    default="30s",
    show_default=True,
    metavar="DURATION",
    help="How long to wait for all of them; 0: look once.",
)
@looking.asked
def command(
    *, kind: str, names: tuple[str, ...], wanted: str, everything: bool, selector: str, patience: float, where: Where
) -> int:
    """Wait until clusters, or federated objects of KIND, are as they are to be.

    ready: the controller reaches the cluster now. propagated: every cluster that the object is placed in has applied
    its present generation. healthy: and its copies are well, by the object's condition Healthy where it has one, else
    by their own statuses: members are asked by the contexts of your kubeconfig, or with the credentials that the hub
    has stored, if you may read them. gone: it is deleted, and no cluster has a copy any more. Exit code 1: not within
    --timeout.
    """
    kind, names = _named(kind, names)
    if bool(names) == (everything or bool(selector)):
        raise click.UsageError("give NAME..., or --all, or -l SELECTOR")
    code: int = options.run(_wait(where, kind, (names, selector), wanted, patience))
    return code


def _named(kind: str, names: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """KIND NAME..., or kubectl's KIND/NAME... of one kind."""
    if "/" not in kind:
        return kind, names
    pairs = [looking.named(each, "") for each in (kind, *names)]
    if len({each for each, _ in pairs}) > 1:
        raise click.UsageError("all must be of one KIND")
    return pairs[0][0], tuple(name for _, name in pairs)


async def _wait(where: Where, kind: str, which: tuple[Sequence[str], str], wanted: str, patience: float) -> int:
    import asyncio  # noqa: PLC0415

    from federation.seeing import waiting  # noqa: PLC0415

    late = False
    async with where.reach() as (reach, namespace):
        loop = asyncio.get_running_loop()
        ends = loop.time() + patience
        if kind.lower() in _CLUSTERS:
            listed = await _clusters(reach, *which, wanted)
        else:
            listed = await _objects(reach, where, kind, (*which, namespace), wanted)

        async def one(resource: "Resource", place: "ObjectName", check: "Check") -> tuple[str, Any]:
            left = max(0.0, ends - loop.time())
            label = f"{resource.kind.lower()}.{resource.group}/{place.name}"
            return label, await waiting.until(reach.host, resource, place, check, timeout=left)

        for task in asyncio.as_completed([one(*each) for each in listed]):
            label, look = await task
            if look.met:
                click.echo(f"{label} condition met")
                continue
            late = True
            seen = f": {look.seen}" if look.seen else ""
            options.report(f"error: timed out waiting for {wanted} on {label}{seen}")
    if not listed:
        options.report("there is nothing to wait for: no such object")
        return 0 if wanted in ("gone", "delete") else failing.FAILED
    return failing.FAILED if late else 0


async def _clusters(reach: "Reach", names: Sequence[str], selector: str, wanted: str) -> list[Any]:
    from federation.joining import fleet, heartbeat  # noqa: PLC0415
    from federation.model.resources import KUBEFED_CLUSTERS, ObjectName  # noqa: PLC0415
    from federation.seeing import waiting  # noqa: PLC0415

    await fleet.expect_namespace(reach.host, reach.namespace)
    if not names:
        found = await fleet.listing(reach.host, KUBEFED_CLUSTERS, reach.namespace, selector=selector)
        names = [each["metadata"]["name"] for each in found]
    if wanted in ("ready", "healthy"):
        check = waiting.ready(reach.host, reach.namespace, await heartbeat.limit(reach.host, reach.namespace))
    elif wanted == "propagated":
        raise click.UsageError("--for=propagated is for federated objects; of clusters, wait for ready")
    else:
        check = _check(wanted)
    return [(KUBEFED_CLUSTERS, ObjectName(reach.namespace, name), check) for name in dict.fromkeys(names)]


async def _objects(
    reach: "Reach", where: Where, kind: str, which: tuple[Sequence[str], str, str], wanted: str
) -> list[Any]:
    from federation.joining import fleet, kinds  # noqa: PLC0415
    from federation.model.resources import ObjectName  # noqa: PLC0415
    from federation.seeing import waiting  # noqa: PLC0415
    from federation.seeing.subjects import Subject  # noqa: PLC0415

    names, selector, namespace = which
    known = await fleet.read(reach.host, reach.namespace)
    chosen = kinds.resolve(known.types, await kinds.served(reach.host), kind)
    space = namespace if chosen.federated.namespaced else ""
    if not names:
        found = await fleet.listing(reach.host, chosen.federated, space, selector=selector)
        names = [each["metadata"]["name"] for each in found]
    listed = []
    for name in dict.fromkeys(names):
        place = ObjectName(space, name)
        if wanted == "healthy":
            check = waiting.healthy(reach, Subject(known, chosen, {"metadata": {"name": name}}), where.how)
        else:
            check = waiting.propagated if wanted in ("propagated", "ready") else _check(wanted)
        listed.append((chosen.federated, place, check))
    return listed


def _check(wanted: str) -> "Check":
    """What is waited for, of anything. Raises UsageError."""
    from federation.seeing import waiting  # noqa: PLC0415

    name, equals, rest = wanted.partition("=")
    match name:
        case "gone" | "delete" if not equals:
            return waiting.gone
        case "create" if not equals:
            return waiting.there
        case "condition" if rest:
            kind, _, status = rest.partition("=")
            return waiting.condition(kind, status or "True")
        case "jsonpath" if rest:
            return _jsonpath(rest)
    near = ", ".join((*_WORDS, "condition=TYPE", "jsonpath=PATH=VALUE"))
    raise click.UsageError(f"--for={wanted} is not known; use {near}")


def _jsonpath(text: str) -> "Check":
    from federation.cli import jsonpath  # noqa: PLC0415
    from federation.seeing.waiting import Look  # noqa: PLC0415

    end = text.rfind("}=") if text.startswith("{") else -1
    expression, value = (text[: end + 1], text[end + 2 :]) if end >= 0 else (text, None)
    if end < 0 and not text.endswith("}") and "=" in text:
        expression, _, value = text.rpartition("=")
    path = jsonpath.path(expression)

    async def check(found: Any) -> Look:
        values = [jsonpath.shown(each) for each in path.find(found or {})]
        met = bool(values) if value is None else value in values
        return Look(met, f"{expression} is {', '.join(values) or 'not there'}")

    return check
