"""A host, members and types in one call: the steps of init, join and enable as the tests and the demo need them."""

from collections.abc import Sequence

from federation.joining import enabling, installing, joins
from federation.joining.applying import Report
from federation.joining.contexts import Contexts
from federation.joining.objects import Rights, Wanted
from federation.model.marks import SYSTEM_NAMESPACE


def quiet(_: str) -> None:
    """A report that nobody reads."""


async def everything(
    kubeconfig: str,
    host: str,
    members: Sequence[str],
    types: Sequence[str | enabling.Request],
    *,
    namespace: str = SYSTEM_NAMESPACE,
    rights: Rights = "types",
    report: Report = quiet,
) -> None:
    """`fedctl init`, `enable` and `join` for contexts `host` and `members` of a kubeconfig.

    Types are names (`deployments.apps`, `configmaps`) or Requests with a CRD. Idempotent: what is there is brought up
    to date. Raises the same errors as the verbs.
    """
    requests = [each if isinstance(each, enabling.Request) else enabling.Request(name=each) for each in types]
    async with Contexts(kubeconfig) as contexts:
        connection = await contexts.open(host)
        await installing.install(connection, namespace, report)
        if requests:
            await enabling.enable(contexts, connection, namespace, requests, report)
        for name in members:
            wanted = Wanted(name, host, namespace, rights=rights, error_on_existing=False)
            await joins.join(connection, await contexts.open(name), wanted, report)
