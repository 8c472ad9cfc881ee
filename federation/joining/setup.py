"""A host, members and types in one call: the steps of init, join and enable as the tests and the demo need them."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from federation.joining import applying, enabling, installing, several
from federation.joining.contexts import Contexts
from federation.joining.objects import Wanted
from federation.kube import connection as http
from federation.model.marks import CONFIG, SYSTEM_NAMESPACE
from federation.model.resources import KUBEFED_CONFIGS, ObjectName

NOTHING_HELD: Mapping[str, Any] = {"deletionBudget": {"enforcement": "Disabled"}}
"""Settings by which deletions go, however many: of tests and measurements that delete much on purpose."""


def quiet(_: str) -> None:
    """A report that prints nothing."""


async def everything(
    kubeconfig: str,
    host: str,
    members: Sequence[str],
    types: Sequence[str | enabling.Request],
    *,
    service_account: str = "",
    settings: Mapping[str, Any] | None = None,
) -> None:
    """`fedctl init`, `enable` and `join` for contexts `host` and `members` of a kubeconfig.

    Types are names (`deployments.apps`, `configmaps`) or Requests with a CRD. `service_account` is the account's name
    in every member ("": KubeFed's), `settings` are fields of the KubeFedConfig's spec. Idempotent: what is there is
    brought up to date. Raises the same errors as the verbs.
    """
    requests = [each if isinstance(each, enabling.Request) else enabling.Request(name=each) for each in types]
    async with Contexts(kubeconfig) as contexts:
        connection = await contexts.open(host)
        await installing.install(connection, SYSTEM_NAMESPACE, quiet)
        if settings:
            path = KUBEFED_CONFIGS.path(ObjectName(SYSTEM_NAMESPACE, CONFIG))
            body = orjson.dumps({"spec": settings})
            merge = http.MERGE_PATCH
            http.expect(await applying.request(connection, "PATCH", path, body=body, content_type=merge), path)
        if requests:
            await enabling.enable(contexts, connection, SYSTEM_NAMESPACE, requests, quiet)
        wanted = [Wanted(name, host, service_account=service_account, error_on_existing=False) for name in members]
        for error in (await several.join(contexts, connection, wanted, quiet)).values():
            raise error
