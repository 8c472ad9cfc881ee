"""How typegen reads a cluster: by whoever calls it, since typegen itself has no client."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

Get = Callable[[str], Awaitable[dict[str, Any]]]
"""The JSON object at a path. Raises model.Unusable."""

Opened = Callable[[str], AbstractAsyncContextManager[Get]]
"""Requests to the cluster that a context of the kubeconfig names. Raises model.Unusable."""
