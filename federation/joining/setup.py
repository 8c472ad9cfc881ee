"""A host, members and types in one call: the steps of init, join and enable as the tests and the demo need them."""

from collections.abc import Sequence

from federation.joining import enabling, installing, several
from federation.joining.contexts import Contexts
from federation.joining.objects import Wanted
from federation.model.marks import SYSTEM_NAMESPACE


def quiet(_: str) -> None:
    """A report that prints nothing."""


async def everything(
    kubeconfig: str,
    host: str,
    members: Sequence[str],
    types: Sequence[str | enabling.Request],
    *,
    service_account: str = "",
) -> None:
    """`fedctl init`, `enable` and `join` for contexts `host` and `members` of a kubeconfig.

    Types are names (`deployments.apps`, `configmaps`) or Requests with a CRD. `service_account` is the account's name
    in every member ("": KubeFed's). Idempotent: what is there is brought up to date. Raises the same errors as the
    verbs.
    """
    requests = [each if isinstance(each, enabling.Request) else enabling.Request(name=each) for each in types]
    async with Contexts(kubeconfig) as contexts:
        connection = await contexts.open(host)
        await installing.install(connection, SYSTEM_NAMESPACE, quiet)
        if requests:
            await enabling.enable(contexts, connection, SYSTEM_NAMESPACE, requests, quiet)
        wanted = [Wanted(name, host, service_account=service_account, error_on_existing=False) for name in members]
        for error in (await several.join(contexts, connection, wanted, quiet)).values():
            raise error
