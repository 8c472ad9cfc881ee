"""Faults as values, which requests they hit, and the log of requests for tests; no I/O.

For every request `faultproxy` calls `Faults.take`, and adds the request to the `RequestLog`.
"""

import collections
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from federation.playground.requestinfo import READS, VERBS, RequestInfo

Kind = Literal["delay", "cut", "blackhole", "mute", "refuse", "status", "expire"]
_ON_OPEN_WATCHES = ("cut", "blackhole", "expire")
_REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    410: "Expired",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """What to do to which requests.

    delay: hold the request back for `seconds`, then let it pass. cut: let it pass, send half of the answer (of a watch:
    half of the next event's line), then close. blackhole: accept and never answer; an open watch goes silent without a
    FIN and stays so, even after the fault is cleared, as a half-open connection does; the answer of a request that is
    in progress at that moment is lost (unless `times` or `probability` are set). mute: let it pass and take effect, but
    never answer. status: answer `code` instead of the API server, with Retry-After if `retry_after` (seconds) is given,
    and `body` or else a metav1.Status. expire: 410, for a watch as an ERROR event in the stream, else as HTTP 410.
    refuse: close the port and every connection; it takes no filters.

    Filters: `verb` as in RBAC, with "apply" for server-side apply; `resource` as "configmaps", "deployments.apps",
    "nodes/status"; `namespace`; `name`; `path` is a prefix, for paths outside resources ("/readyz"). None means any.
    `times`: for so many requests; None: until it is cleared. `probability`: for each matching request.
    """

    kind: Kind
    verb: str | None = None
    resource: str | None = None
    namespace: str | None = None
    name: str | None = None
    path: str | None = None
    seconds: float = 0.0
    code: int = 0
    retry_after: int | None = None
    times: int | None = None
    body: bytes | None = None
    probability: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"no such fault: {self.kind}")
        if self.verb is not None and self.verb not in VERBS:
            raise ValueError(f"no such verb: {self.verb}; one of {', '.join(sorted(VERBS))}")
        if self.kind == "status" and not 200 <= self.code <= 599:
            raise ValueError("a status fault needs a code from 200 to 599")
        if self.kind == "delay" and self.seconds <= 0:
            raise ValueError("a delay fault needs seconds")
        filtered = any((self.verb, self.resource, self.namespace, self.name, self.path, self.times))
        if self.kind == "refuse" and (filtered or self.probability < 1):
            raise ValueError("refuse closes the port for everybody: it takes no filter, times or probability")

    def matches(self, info: RequestInfo) -> bool:
        """Whether the filters fit this request."""
        pairs = (
            (self.verb, info.verb),
            (self.resource, info.resource),
            (self.namespace, info.namespace),
            (self.name, info.name),
        )
        if any(wanted is not None and wanted != found for wanted, found in pairs):
            return False
        return self.path is None or info.path.startswith(self.path)


class Injected:
    """An injected fault, and how often it has hit; set `cleared` to remove it (`FaultProxy.clear` removes all)."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.hits = 0
        self.cleared = False

    @property
    def active(self) -> bool:
        """Whether it will still hit."""
        return not self.cleared and (self.fault.times is None or self.hits < self.fault.times)


class Faults:
    """The active faults, in the order of their injection."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)
        self._injected: list[Injected] = []

    def inject(self, fault: Fault) -> Injected:
        """Add one."""
        injected = Injected(fault)
        self._injected.append(injected)
        return injected

    def clear(self) -> None:
        """Remove all."""
        for each in self._injected:
            each.cleared = True
        self._injected.clear()

    @property
    def refusing(self) -> bool:
        """Whether the port is to be closed."""
        return any(each.active and each.fault.kind == "refuse" for each in self._injected)

    def take(self, info: RequestInfo) -> tuple[float, Fault | None]:
        """What happens to a new request: seconds of delay in all, and the first other fault; counts the hits."""
        delay = 0.0
        for injected in self._injected:
            fault = injected.fault
            if fault.kind == "refuse" or not self._hits(injected, info):
                continue
            if fault.kind != "delay":
                return delay, fault
            delay += fault.seconds
        return delay, None

    def hits_open_watch(self, injected: Injected, info: RequestInfo) -> bool:
        """Whether a new fault hits this watch, which is already open; counts the hit."""
        return injected.fault.kind in _ON_OPEN_WATCHES and self._hits(injected, info)

    def drops_answer(self, info: RequestInfo) -> bool:
        """Whether the answer is lost because a blackhole was injected during the request; no hit is counted."""
        return any(
            each.active
            and each.fault.times is None
            and each.fault.probability >= 1
            and each.fault.kind == "blackhole"
            and each.fault.matches(info)
            for each in self._injected
        )

    def _hits(self, injected: Injected, info: RequestInfo) -> bool:
        if not injected.active or not injected.fault.matches(info):
            return False
        probability = injected.fault.probability
        if probability < 1 and self._random.random() >= probability:
            return False
        injected.hits += 1
        return True


def status_body(code: int, retry_after: int | None = None) -> bytes:
    """A metav1.Status as an API server sends it with this code (Kubernetes API conventions: response status kind)."""
    status: dict[str, object] = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure" if code >= 400 else "Success",
        "message": f"the fault proxy answers {code}",
        "reason": _REASONS.get(code, ""),
        "code": code,
    }
    if retry_after is not None:
        status["details"] = {"retryAfterSeconds": retry_after}
    return json.dumps(status).encode()


def error_event() -> bytes:
    """The line that ends a watch whose resourceVersion is too old."""
    return b'{"type":"ERROR","object":' + status_body(410) + b"}\n"


@dataclass(frozen=True, slots=True)
class Logged:
    """One request: `code` is 0 without an answer, `passed` whether the API server got it, `fault` what hit it."""

    verb: str
    resource: str
    namespace: str
    name: str
    code: int
    user_agent: str
    passed: bool
    fault: Kind | None
    path: str


class RequestLog:
    """The requests in the order of their answers; a watch is logged when it is opened."""

    def __init__(self) -> None:
        self._entries: list[Logged] = []

    def add(self, entry: Logged) -> None:
        """Append one."""
        self._entries.append(entry)

    def clear(self) -> None:
        """Forget all."""
        self._entries.clear()

    def __iter__(self) -> Iterator[Logged]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def where(self, *, verb: str | None = None, resource: str | None = None, name: str | None = None) -> list[Logged]:
        """Those with this verb, resource and name; None means any."""
        return [
            each
            for each in self._entries
            if verb in (None, each.verb) and resource in (None, each.resource) and name in (None, each.name)
        ]

    def writes(self) -> list[Logged]:
        """Those that reached the API server and were not reads."""
        return [each for each in self._entries if each.passed and each.verb not in READS]

    def counts(self) -> collections.Counter[tuple[str, str]]:
        """How many reached the API server, by (verb, resource)."""
        return collections.Counter((each.verb, each.resource) for each in self._entries if each.passed)
