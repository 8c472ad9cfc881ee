"""The agent's identity at its hub: asked for with a bootstrap token, kept in a Secret of the member, renewed in time.

The key is made here and never leaves the member. `Registration` is for one membership: `first` waits until there is a
certificate, `serve` renews it and says so to who uses it. What to do next is decided by registration.stored.
"""

import asyncio
import base64
import contextlib
import random
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Protocol

import msgspec
import orjson
import structlog

from federation.agent import sealing
from federation.agent.sealing import Issued, Sealed
from federation.core import times
from federation.kube import connection as http
from federation.kube import decoding, kubeconfig
from federation.kube.connection import MERGE_PATCH, Connection
from federation.kube.endpoint import Endpoint
from federation.model.errors import ApiFailure, Unusable
from federation.model.failures import Failure, FailureKind
from federation.model.resources import CERTIFICATE_REQUESTS, SECRETS, ObjectName
from federation.registration import asking, names, renewal, stored
from federation.registration.asking import State
from federation.registration.stored import Ask, Bootstrap, Held, Look, Pending, Rest

AGENT = "federation-agent"
LOOK, ANSWER = 10.0, 2.0
"""Seconds between two looks at the Secrets, and at a request that is under way."""
_ABSENT = (FailureKind.NOT_FOUND, FailureKind.NAMESPACE_MISSING)
Follow = Callable[[Endpoint], Awaitable[None]]


class Seals(Protocol):
    """Makes and reads what cryptography is needed for; see `sealing`."""

    async def ask(self, cluster: str, agent: str, key: bytes = b"") -> Sealed:
        """A request, with a new key where none is given."""

    async def read(self, certificate: bytes, key: bytes) -> Issued:
        """What a certificate says."""


log = structlog.get_logger()


class Registration:
    """One membership's. `member` is a connection to the member, `namespace` the agent's there."""

    def __init__(
        self, member: Connection, namespace: str, *, now: Callable[[], float] = time.time, seals: Seals = sealing
    ) -> None:
        self.problem = ""
        """Why there is no certificate that can be used, or will be none; "" where all is well."""
        self.held = Held()
        self._member = member
        self._own = ObjectName(namespace, names.HUB_SECRET)
        self._bootstrap = ObjectName(namespace, names.BOOTSTRAP_SECRET)
        self._now = now
        self._seals = seals
        self._jitter = random.random()
        self._tries = 0
        self._told = ""

    async def first(self) -> Endpoint:
        """The endpoint of the hub, once there is a certificate for it; one that has ended, too: what was fetched before
        is carried out without the hub."""
        while True:
            wait = await self._turn()
            if self.held.kubeconfig:
                return self.endpoint()
            await asyncio.sleep(wait)

    async def serve(self, follow: Follow) -> None:
        """Renew until cancelled; `follow` is called with every new endpoint."""
        known = self.held.kubeconfig
        while True:
            wait = await self._turn()
            if self.held.kubeconfig and self.held.kubeconfig != known:
                known = self.held.kubeconfig
                await follow(self.endpoint())
            await asyncio.sleep(wait)

    def endpoint(self) -> Endpoint:
        """The hub with the certificate at hand. Raises Unusable."""
        return _endpoint(self.held.kubeconfig)

    async def _turn(self) -> float:
        """Take one step; seconds until the next one."""
        try:
            held = self.held = stored.read(await self._secret(self._own))
            bootstrap = stored.read_bootstrap(await self._secret(self._bootstrap))
            step = stored.next_step(held, bootstrap, self._now(), self._jitter)
            match step:
                case Rest(until, problem):
                    self._say(problem)
                    left = LOOK if until is None else until - self._now()
                    wait = max(0.5, min(LOOK, left))
                case Ask(using):
                    await self._ask(held, using)
                    wait = ANSWER
                case Look(pending, using):
                    wait = await self._look(held, pending, using)
            self._tries = 0
        except (ApiFailure, Unusable) as error:
            self._say(str(error))
            wait = renewal.again(self._tries, max(0.0, self.held.ends - self._now()), random.random())
            self._tries += 1
        return wait

    async def _ask(self, held: Held, bootstrap: Bootstrap | None) -> None:
        """Keep a new key, then create the request: it is not lost if we end in between."""
        cluster, agent = _who(held, bootstrap)
        purpose = bootstrap.uid if bootstrap is not None else stored.RENEWAL
        sealed = await self._seals.ask(cluster, agent)
        pending = Pending(f"{cluster}-{secrets.token_hex(5)}", purpose, sealed.key)
        await self._write(held, stored.with_pending(pending))
        await self._create(held, pending, bootstrap, sealed)

    async def _create(
        self, held: Held, pending: Pending, bootstrap: Bootstrap | None, sealed: Sealed | None = None
    ) -> None:
        cluster, agent = _who(held, bootstrap)
        sealed = sealed or await self._seals.ask(cluster, agent, pending.key)
        request = asking.manifest(pending.name, cluster, sealed.request)
        async with self._at_hub(held, bootstrap) as hub:
            answer = await hub.request("POST", CERTIFICATE_REQUESTS.collection(), body=orjson.dumps(request))
        if isinstance(answer, Failure) and answer.kind is not FailureKind.ALREADY_EXISTS:
            raise ApiFailure(answer, self._doing("asking the hub for a certificate", bootstrap))
        log.info("certificate asked for", cluster=cluster, agent=agent, request=pending.name)

    async def _look(self, held: Held, pending: Pending, bootstrap: Bootstrap | None) -> float:
        """What became of the request; it is made again where the hub has forgotten it unanswered."""
        async with self._at_hub(held, bootstrap) as hub:
            answer = await hub.request("GET", CERTIFICATE_REQUESTS.path(ObjectName("", pending.name)))
        if isinstance(answer, Failure):
            if answer.kind is not FailureKind.NOT_FOUND:
                raise ApiFailure(answer, self._doing("asking the hub what became of the request", bootstrap))
            await self._create(held, pending, bootstrap)
            return ANSWER
        try:
            found = asking.read(decoding.stored(answer.body))
        except (msgspec.MsgspecError, *decoding.ERRORS):
            raise Unusable("the hub's answer is not a CertificateSigningRequest") from None
        cluster, agent = _who(held, bootstrap)
        if found.state is State.ISSUED:
            await self._take(held, pending, bootstrap, found.certificate)
            return 0.5
        if found.state in (State.DENIED, State.FAILED):
            await self._write(held, stored.with_pending(None))
            if bootstrap is not None:
                await self._forget(bootstrap)
            raise Unusable(f"the hub has {found.state.value.lower()} the request of cluster {cluster}: {found.message}")
        waits = "to be signed" if found.state is State.APPROVED else f"at the hub for: fedctl accept {cluster}"
        self._say(f"agent {agent} of cluster {cluster} waits {waits}")
        return ANSWER

    async def _take(self, held: Held, pending: Pending, bootstrap: Bootstrap | None, certificate: bytes) -> None:
        """Put the certificate in use. The bootstrap token is not needed any more, and does not stay."""
        cluster, agent = _who(held, bootstrap)
        issued = await self._seals.read(certificate, pending.key)
        if not issued.fits or issued.common_name != names.user(cluster, agent):
            raise Unusable(f"the hub has issued a certificate of {issued.common_name[:160]}, which was not asked for")
        config = bootstrap.kubeconfig if bootstrap is not None else held.kubeconfig
        try:
            place = stored.cluster_of(config)
        except ValueError as error:
            raise Unusable(f"the kubeconfig for the hub: {error}") from None
        life = issued.begins, issued.ends
        made = stored.with_certificate(cluster, agent, place=place, certificate=certificate, key=pending.key, life=life)
        await self._write(held, made)
        if bootstrap is not None:
            await self._forget(bootstrap)
        self.held = stored.read(await self._secret(self._own))
        self._say("")
        log.info("certificate in use", cluster=cluster, agent=agent, ends=times.rfc3339(issued.ends))

    async def _forget(self, bootstrap: Bootstrap) -> None:
        options = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": bootstrap.uid}}
        path = SECRETS.path(self._bootstrap)
        answer = await self._member.request("DELETE", path, body=orjson.dumps(options), secret=True)
        if isinstance(answer, Failure) and answer.kind not in (*_ABSENT, FailureKind.UID_MISMATCH):
            raise ApiFailure(answer, "deleting the bootstrap token")

    async def _secret(self, where: ObjectName) -> Mapping[str, Any] | None:
        answer = await self._member.request("GET", SECRETS.path(where), secret=True)
        if isinstance(answer, Failure):
            if answer.kind in _ABSENT:
                return None
            raise ApiFailure(answer, f"reading Secret {where}")
        found = answer.json(f"reading Secret {where}")
        if not isinstance(found, dict) or not isinstance(found.get("metadata"), dict):
            raise Unusable(f"what the member answers is not Secret {where}")
        return found

    async def _write(self, held: Held, patch: dict[str, Any]) -> None:
        """Change the agent's Secret as it was read; another agent of this cluster may have been faster. ApiFailure."""
        if not held.version:
            body = {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": self._own.name},
                "data": {name: value for name, value in patch["data"].items() if value is not None},
            }
            path = SECRETS.collection(self._own.namespace)
            http.expect(await self._member.request("POST", path, body=orjson.dumps(body), secret=True), "Secret")
            return
        body = {**patch, "metadata": {**patch.get("metadata", {}), "resourceVersion": held.version}}
        path = SECRETS.path(self._own)
        answer = await self._member.request(
            "PATCH", path, body=orjson.dumps(body), content_type=MERGE_PATCH, secret=True
        )
        http.expect(answer, f"storing in Secret {self._own}")

    @contextlib.asynccontextmanager
    async def _at_hub(self, held: Held, bootstrap: Bootstrap | None) -> AsyncIterator[Connection]:
        """A connection for one request: with the token, or with the certificate."""
        config = bootstrap.kubeconfig if bootstrap is not None else held.kubeconfig
        hub = Connection("hub", _endpoint(config), agent=f"{AGENT}-registration", few=1)
        try:
            yield hub
        finally:
            await hub.close()

    def _doing(self, what: str, bootstrap: Bootstrap | None) -> str:
        if bootstrap is None:
            return f"{what} with its certificate"
        return f"{what} with the bootstrap token (has it ended? fedctl token create makes another)"

    def _say(self, problem: str) -> None:
        """Once for each problem, and once when it is over."""
        self.problem = problem
        if problem == self._told:
            return
        if problem:
            log.warning("not registered" if not self.held.kubeconfig else "registration", reason=problem)
        self._told = problem


def _who(held: Held, bootstrap: Bootstrap | None) -> tuple[str, str]:
    return (bootstrap.cluster, bootstrap.agent) if bootstrap is not None else (held.cluster, held.agent)


def _endpoint(config: bytes) -> Endpoint:
    return kubeconfig.stored({}, {"kubeconfig": base64.b64encode(config).decode()})
