"""Credentials of a membership, read as cheaply as they allow: an agent is to be small.

A kubeconfig that holds all of it as data (as registration writes it) and a pod's own account are read here and by
`kube.kubeconfig.stored`; anything else by kubernetes-asyncio, which takes more memory than all of the agent.
"""

import base64
import os
import pathlib

from federation.kube import kubeconfig
from federation.kube.endpoint import Credentials, Endpoint
from federation.kube.tls import Trust
from federation.model.errors import Unusable

_ACCOUNT = pathlib.Path("/var/run/secrets/kubernetes.io/serviceaccount")


async def of_file(path: str, context: str | None = None) -> Endpoint:
    """The endpoint of a kubeconfig's context; its token is read again when it is refused. Raises Unusable."""
    if context is not None or os.pathsep in path:
        return await kubeconfig.from_kubeconfig(path, context)
    try:
        endpoint = _plain(path)
    except Unusable:
        return await kubeconfig.from_kubeconfig(path)

    async def again() -> str:
        return _plain(path).credentials.header

    endpoint.credentials = Credentials(endpoint.credentials.header, again)
    return endpoint


async def of_member(path: str | None, context: str | None) -> Endpoint:
    """The member: the pod's own account where nothing is given, else as kubectl finds it. Raises Unusable."""
    host = os.environ.get("KUBERNETES_SERVICE_HOST")
    if path is None and context is None and host:
        return _in_pod(host, os.environ.get("KUBERNETES_SERVICE_PORT", "443"))
    return await of_file(kubeconfig.default_paths(path), context)


def _plain(path: str) -> Endpoint:
    try:
        content = pathlib.Path(path).expanduser().read_bytes()
    except OSError as error:
        raise Unusable(f"{path} cannot be read ({type(error).__name__})") from None
    return kubeconfig.stored({}, {"kubeconfig": base64.b64encode(content).decode()})


def _in_pod(host: str, port: str) -> Endpoint:
    def header() -> str:
        try:
            token = (_ACCOUNT / "token").read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise Unusable(f"not in a pod: its token cannot be read ({type(error).__name__})") from None
        return f"Bearer {token}"

    async def again() -> str:
        return header()

    try:
        authority = (_ACCOUNT / "ca.crt").read_bytes()
    except OSError as error:
        raise Unusable(f"not in a pod: its CA cannot be read ({type(error).__name__})") from None
    address = f"[{host}]" if ":" in host else host
    return Endpoint(f"https://{address}:{port}", Trust(ca=authority), Credentials(header(), again))
