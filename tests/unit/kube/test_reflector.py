"""List and watch against a scripted server, in virtual time: every rule in the reflector's docstring, exactly."""

import asyncio
import contextlib
import dataclasses
import itertools
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

import orjson
import pytest

from federation.core import classification
from federation.kube import decoding, listing
from federation.kube.connection import JSON, Answer, Connection
from federation.kube.listing import Collection
from federation.kube.reflector import BURST, IDLE_LIMIT, Before, Reflector, at_once
from federation.kube.transport import Closed
from federation.model.failures import Failure, FailureKind
from federation.model.federated import Metadata
from federation.model.resources import ObjectName
from federation.runtime.spacing import Spacing
from tests.unit.virtualtime import settle, virtual

Step = bytes | float | Exception
Request = dict[str, str]


def item(name: str, version: int) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "ns", "resourceVersion": str(version)}}


def listed(version: str, *items: dict[str, Any], more: str = "") -> Answer:
    head = {"resourceVersion": version, **({"continue": more} if more else {})}
    return Answer(200, orjson.dumps({"metadata": head, "items": list(items)}))


def event(kind: str, body: dict[str, Any]) -> bytes:
    return orjson.dumps({"type": kind, "object": body}) + b"\n"


def bookmark(version: int) -> bytes:
    return event("BOOKMARK", {"metadata": {"resourceVersion": str(version)}})


def expired() -> bytes:
    return event("ERROR", {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"})


def refused(kind: FailureKind = FailureKind.UNAVAILABLE, retry_after: float | None = None) -> Failure:
    return Failure(kind, kind.name, 503, retry_after=retry_after)


class Stream:
    """What a watch's response body yields: chunks, pauses, errors; then it ends."""

    def __init__(self, steps: Iterable[Step]) -> None:
        self._steps = steps

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for step in self._steps:
            if isinstance(step, bytes):
                yield step
            elif isinstance(step, Exception):
                raise step
            else:
                await asyncio.sleep(step)


class Server:
    """Answers lists and watches from scripts, in order; the last script of each goes on for ever."""

    name = "m1"

    def __init__(self, lists: list[Answer | Failure], watches: list[list[Step] | Failure] | None = None) -> None:
        self._lists = lists
        self._watches = watches or [[3600.0]]
        self.asked: list[tuple[float, str, Request]] = []

    async def request(self, method: str, path: str, *, params: Mapping[str, str], **_: object) -> Answer | Failure:
        assert (method, path) == ("GET", "/api/v1/things")
        self._note("list", params)
        await asyncio.sleep(0)
        return self._lists.pop(0) if len(self._lists) > 1 else self._lists[0]

    @asynccontextmanager
    async def stream(self, path: str, params: Mapping[str, str], *, accept: str) -> AsyncIterator[Stream | Failure]:
        assert path == "/api/v1/things"
        self._note("watch", params)
        await asyncio.sleep(0)
        script = self._watches.pop(0) if len(self._watches) > 1 else self._watches[0]
        yield script if isinstance(script, Failure) else Stream(script)

    def _note(self, what: str, params: Mapping[str, str]) -> None:
        self.asked.append((asyncio.get_running_loop().time(), what, dict(params)))

    def verbs(self) -> list[str]:
        """`list`, or `watch@<resourceVersion>`, in order."""
        return [what if what == "list" else f"{what}@{params['resourceVersion']}" for _, what, params in self.asked]

    def times(self, verb: str) -> list[float]:
        return [when for when, what, _ in self.asked if what == verb]


class Sink:
    """Remembers what it was told, and holds what a store would hold."""

    def __init__(self) -> None:
        self.reported: list[str] = []
        self.holds: dict[str, str] = {}
        self.fails: list[Exception] = []

    def replace(self, items: Iterable[Metadata]) -> None:
        if self.fails:
            raise self.fails.pop()
        self.holds = {item.name: item.resource_version for item in items}
        self.reported.append(f"={','.join(sorted(self.holds))}")

    def upsert(self, item: Metadata) -> None:
        if self.fails:
            raise self.fails.pop()
        self.holds[item.name] = item.resource_version
        self.reported.append(f"+{item.name}@{item.resource_version}")

    def remove(self, item: Metadata) -> None:
        self.holds.pop(item.name, None)
        self.reported.append(f"-{item.name}")


class StepSink(Sink):
    """Takes a list in in steps, and counts the turns that others had between them."""

    def __init__(self) -> None:
        super().__init__()
        self.turns = 0

    def replacing(self, items: Iterable[Metadata]) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for item in items:
            loop.call_soon(self._turn)
            self.holds[item.name] = item.resource_version
            yield
        self.reported.append(f"after {self.turns} turns")

    def _turn(self) -> None:
        self.turns += 1


class NumberedSink(Sink):
    """Learns what version a list is of before it gets it."""

    def listing(self) -> None:
        self.reported.append("asked")

    def listed(self, version: str) -> None:
        self.reported.append(f"@{version}")


class Following:
    """A reflector that runs."""

    def __init__(
        self,
        server: Server,
        *,
        selector: str = "",
        roll: Callable[[], float] = lambda: 0.0,
        sink: Sink | None = None,
        before_watch: Before = at_once,
        relists: Spacing | None = None,
    ) -> None:
        self.server = server
        self.sink = sink or Sink()
        self.changes: list[str] = []
        self.ends: list[float] = []
        collection = Collection(
            path="/api/v1/things",
            decode=decoding.metadata,
            version=lambda found: found.resource_version,
            label_selector=selector,
            what="things",
        )
        self.reflector = Reflector(
            cast("Connection", server),
            collection,
            self.sink,
            on_change=self._changed,
            on_end=lambda: self.ends.append(asyncio.get_running_loop().time()),
            before_watch=before_watch,
            roll=roll,
            relists=relists,
        )

    def _changed(self, watch: Reflector[Metadata]) -> None:
        self.changes.append(watch.failure.kind.name if watch.failure is not None else "ok")

    async def run(self, seconds: float) -> None:
        task = asyncio.create_task(self.reflector.run())
        await asyncio.sleep(seconds)
        ended = task.done()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert not ended


@virtual
async def test_lists_then_watches_from_there() -> None:
    server = Server(
        [listed("10", item("a", 3), item("b", 7))],
        [[event("ADDED", item("c", 11)), event("MODIFIED", item("a", 12)), event("DELETED", item("b", 13)), 1000.0]],
    )
    following = Following(server, selector="kubefed.io/managed")
    await following.run(60)
    assert following.sink.reported == ["=a,b", "+c@11", "+a@12", "-b"]
    assert following.reflector.synced
    assert server.verbs() == ["list", "watch@10"]
    _, _, params = server.asked[1]
    assert (params["labelSelector"], params["allowWatchBookmarks"]) == ("kubefed.io/managed", "true")
    assert 240 <= int(params["timeoutSeconds"]) <= 360


@virtual
async def test_a_watch_is_opened_when_nothing_is_more_urgent_and_from_its_list() -> None:
    async def urgent() -> None:
        await asyncio.sleep(20)

    server = Server([listed("7", item("a", 3))], [[event("ADDED", item("b", 8)), 1000.0]])
    following = Following(server, before_watch=urgent)
    await following.run(19)
    assert (server.verbs(), following.reflector.synced, following.changes) == (["list"], True, ["ok"])
    following = Following(server, before_watch=urgent)
    server.asked.clear()
    await following.run(21)
    assert (server.verbs(), following.sink.reported) == (["list", "watch@7"], ["=a", "+b@8"])


@virtual
async def test_a_list_comes_in_pages() -> None:
    server = Server([listed("10", item("a", 1), more="next"), listed("10", item("b", 2))])
    following = Following(server)
    await following.run(1)
    assert following.sink.reported == ["=a,b"]
    assert [params.get("continue") for _, what, params in server.asked if what == "list"] == [None, "next"]


@virtual
async def test_others_have_their_turn_while_a_list_is_taken_in() -> None:
    server = Server(
        [listed("10", *(item(f"n{number}", 1) for number in range(50)))], [[event("ADDED", item("x", 11)), 1e3]]
    )
    following = Following(server, sink=StepSink())
    await following.run(1)
    assert following.sink.reported[:2] == ["after 50 turns", "+x@11"]


@virtual
async def test_a_sink_learns_what_version_a_list_is_of() -> None:
    server = Server([refused(), listed("10", item("a", 3))], [[1e3]])
    following = Following(server, sink=NumberedSink())
    await following.run(30)
    assert following.sink.reported == ["asked", "asked", "@10", "=a"]


@pytest.mark.parametrize(
    "second",
    [
        pytest.param(refused(), id="503"),
        pytest.param(Answer(200, b'{"metadata": {"resourceVersion": "10"}, "items": [{'), id="cut"),
        pytest.param(Answer(200, b"<html>"), id="html"),
    ],
)
def test_a_list_that_ends_half_way_changes_nothing(second: Answer | Failure) -> None:
    @virtual
    async def test() -> None:
        server = Server([listed("10", item("a", 1), more="next"), second, listed("20", item("b", 2))])
        following = Following(server)
        await following.run(30)
        assert following.sink.reported == ["=b"]
        assert server.verbs() == ["list", "list", "list", "watch@20"]
        assert server.asked[2][2].get("continue") is None

    test()


@virtual
async def test_an_ended_watch_goes_on_where_it_ended() -> None:
    """A fragment of a line is dropped; bookmarks move the place; nothing is listed again."""
    server = Server(
        [listed("10")],
        [
            [5.0, event("ADDED", item("a", 11)), event("ADDED", item("b", 12))[:30]],
            [5.0, event("ADDED", item("b", 12)), bookmark(40)],
            [5.0, ConnectionResetError()],
            [1000.0],
        ],
    )
    following = Following(server)
    await following.run(60)
    assert server.verbs() == ["list", "watch@10", "watch@11", "watch@40", "watch@40"]
    assert following.sink.reported == ["=", "+a@11", "+b@12"]


@pytest.mark.parametrize(
    ("script", "reported"),
    [
        pytest.param([50.0], True, id="by-the-server"),
        pytest.param([event("ADDED", item("a", 11)), 50.0], True, id="after-events"),
        pytest.param([238.0], False, id="in-its-time"),
        pytest.param([50.0, ConnectionResetError()], False, id="broken"),
        pytest.param([50.0, expired()], False, id="expired"),
        pytest.param([3600.0], False, id="silent"),
    ],
)
def test_an_early_end_is_told(script: list[Step], reported: bool) -> None:
    """A server ends the watches of a type whose definition has changed."""

    @virtual
    async def test() -> None:
        following = Following(Server([listed("10")], [script, [80.0, 3600.0]]))
        await following.run(300)
        assert len(following.ends) == (1 if reported else 0)

    test()


@virtual
async def test_silence_reopens_the_watch_and_lists_nothing() -> None:
    server = Server([listed("10")], [[3600.0]])
    following = Following(server)
    await following.run(3 * IDLE_LIMIT + 10)
    assert server.verbs() == ["list", *["watch@10"] * 4]
    gaps = [later - earlier for earlier, later in itertools.pairwise(server.times("watch"))]
    assert gaps == [pytest.approx(IDLE_LIMIT)] * 3
    assert following.changes == ["ok"]  # not worth a word


@virtual
async def test_a_quiet_watch_is_ended_by_the_server_the_next_time() -> None:
    """So its connection is used again: one that we end is closed."""
    server = Server([listed("10"), listed("20")], [[3600.0], [79.0, bookmark(12)], [expired()], [3600.0]])
    following = Following(server)
    await following.run(IDLE_LIMIT + 79.0 + 20.0)
    assert server.verbs() == ["list", "watch@10", "watch@10", "watch@12", "list", "watch@20"]
    seconds = [int(params["timeoutSeconds"]) for _, what, params in server.asked if what == "watch"]
    assert [each < IDLE_LIMIT for each in seconds] == [False, True, True, False], seconds
    assert server.times("watch")[1] == pytest.approx(IDLE_LIMIT)


@pytest.mark.parametrize("how", ["event", "answer"])
def test_expired_lists_from_nothing_at_once(how: str) -> None:
    @virtual
    async def test() -> None:
        gone: list[Step] | Failure = [5.0, expired()] if how == "event" else refused(FailureKind.EXPIRED)
        server = Server(
            [listed("10", item("a", 1)), listed("90", item("b", 80))], [[5.0, bookmark(11)], gone, [1000.0]]
        )
        following = Following(server)
        await following.run(30)
        assert server.verbs() == ["list", "watch@10", "watch@11", "list", "watch@90"]
        assert following.sink.reported == ["=a", "=b"]
        when = server.times("list")[1]
        assert when == pytest.approx(10.0 if how == "event" else 5.0)

    test()


@virtual
async def test_a_server_that_always_says_expired_is_not_asked_in_a_loop() -> None:
    server = Server([listed("10")], [[expired()]])
    following = Following(server)
    await following.run(600)
    assert len(server.asked) < 2 * 60


@virtual
async def test_a_server_that_ends_watches_at_once_is_not_asked_in_a_loop() -> None:
    server = Server([listed("10")], [[]])
    following = Following(server)
    await following.run(600)
    assert len(server.asked) < 100
    assert following.reflector.failure is not None


@virtual
async def test_a_quiet_watch_that_breaks_now_and_then_is_opened_again_at_once() -> None:
    server = Server([listed("10")], [[60.0, ConnectionResetError()]])
    following = Following(server)
    await following.run(3600)
    opened = server.times("watch")
    assert len(opened) > 55
    assert max(later - earlier for earlier, later in itertools.pairwise(opened)) < 60.5
    assert server.verbs().count("list") == 1


@virtual
async def test_a_list_without_a_version_is_not_asked_in_a_loop() -> None:
    server = Server([listed("")])
    following = Following(server)
    await following.run(600)
    assert len(server.asked) < 100


@virtual
async def test_refusals_are_asked_ever_later_and_success_forgets_them() -> None:
    server = Server([*[refused()] * 12, listed("10")])
    following = Following(server, roll=lambda: 1.0)
    await following.run(400)
    gaps = [later - earlier for earlier, later in itertools.pairwise(server.times("list"))]
    assert gaps == [pytest.approx(min(30.0, 0.2 * 2**attempt)) for attempt in range(12)]
    assert following.changes == ["UNAVAILABLE", "ok"]  # told once, not twelve times


@virtual
async def test_retry_after_is_obeyed() -> None:
    server = Server([refused(FailureKind.THROTTLED, retry_after=17.0), listed("10")])
    following = Following(server)
    await following.run(60)
    assert server.times("list") == [0.0, pytest.approx(17.0)]


@pytest.mark.parametrize("kind", [FailureKind.TYPE_MISSING, FailureKind.RIGHT_MISSING])
def test_what_somebody_must_mend_is_asked_slowly_unless_kicked(kind: FailureKind) -> None:
    @virtual
    async def test() -> None:
        server = Server([*[refused(kind)] * 20, listed("10")])
        following = Following(server, roll=lambda: 1.0)
        running = asyncio.create_task(following.run(300))
        await asyncio.sleep(99.5)
        before = len(server.times("list"))
        assert before <= 12
        following.reflector.kick()
        await settle()
        assert len(server.times("list")) == before + 1
        await running
        assert following.reflector.synced

    test()


@virtual
async def test_a_kick_while_a_request_is_under_way_is_not_lost() -> None:
    server = Server([*[refused(FailureKind.TYPE_MISSING)] * 8, listed("10")])
    following = Following(server, roll=lambda: 1.0)
    running = asyncio.create_task(following.run(100))
    for _ in range(8):
        await asyncio.sleep(0)
        following.reflector.kick()
        await settle()
    assert asyncio.get_running_loop().time() == 0.0
    assert server.verbs() == [*["list"] * 9, "watch@10"]
    await running


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"{}\n", id="no-event"),
        pytest.param(b"<html>\n", id="html"),
        pytest.param(event("ADDED", {"metadata": {"namespace": "ns"}}), id="object-without-a-name"),
        pytest.param(event("BOOKMARK", {}), id="bookmark-without-metadata"),
    ],
)
def test_an_unreadable_line_means_listing_again(line: bytes) -> None:
    @virtual
    async def test() -> None:
        server = Server([listed("10", item("a", 1)), listed("20", item("b", 2))], [[5.0, line], [1000.0]])
        following = Following(server)
        await following.run(60)
        assert server.verbs() == ["list", "watch@10", "list", "watch@20"]
        assert following.sink.holds == {"b": "2"}
        assert following.changes == ["ok", "UNEXPECTED", "ok"]

    test()


@pytest.mark.parametrize("how", ["answer", "event"])
def test_a_version_that_means_nothing_to_the_server_is_given_up(how: str) -> None:
    """An aggregated API whose count began anew: it refuses the watch, and would for ever."""
    refusal = {"kind": "Status", "code": 400, "message": "the resource version is invalid"}
    script: list[Step] | Failure = [event("ERROR", refusal)]
    if how == "answer":
        script = classification.classify(400, JSON, orjson.dumps(refusal), secret=False)

    @virtual
    async def test() -> None:
        server = Server([listed("900", item("a", 800)), listed("7", item("b", 5))], [script, [1000.0]])
        following = Following(server)
        await following.run(60)
        assert server.verbs() == ["list", "watch@900", "list", "watch@7"]
        assert following.sink.holds == {"b": "5"}

    test()


@pytest.mark.parametrize("counted", [7, 900], ids=["restored", "as-before"])
def test_after_an_outage_the_servers_count_is_compared(counted: int) -> None:
    """A server restored from a backup takes a watch from a version to come, and says nothing for as long."""

    @virtual
    async def test() -> None:
        lists: list[Answer | Failure] = [listed("900", item("a", 800)), listed(str(counted), item("b", 5))]
        server = Server(lists, [[30.0, Closed()], refused(), [1000.0]])
        following = Following(server)
        await following.run(100)
        # A watch that breaks is opened again and asks nothing; one that could not be opened asks once it can be.
        then = ["list", "watch@7"] if counted == 7 else []
        assert server.verbs() == ["list", "watch@900", "watch@900", "watch@900", "list", *then]
        assert following.sink.holds == ({"b": "5"} if counted == 7 else {"a": "800"})

    test()


@virtual
async def test_it_knows_how_long_contact_has_lasted() -> None:
    """A watch that the server ends in good order, or that is silent, loses nothing; one that breaks, or cannot be
    opened, does."""
    server = Server([listed("10")], [[30.0], [30.0, Closed()], refused(), refused(), [1000.0]])
    reflector = Following(server).reflector
    assert not reflector.open
    task = asyncio.create_task(reflector.run())
    await asyncio.sleep(20)
    began = reflector.since
    assert (reflector.open, reflector.breaks, began) == (True, 0, 0.0)
    await asyncio.sleep(20)
    assert (reflector.open, reflector.breaks, reflector.since) == (True, 0, began)
    await asyncio.sleep(60)
    assert (reflector.open, reflector.breaks) == (True, 3)
    assert reflector.since > began
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert not reflector.open


@pytest.mark.parametrize("limit", ["MOST_PAGES", "LONGEST_LIST"])
def test_a_list_without_an_end_is_given_up(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every page names a next one; an empty page is none (the API allows pages of which everything was filtered)."""
    monkeypatch.setattr(listing, limit, 10 if limit == "MOST_PAGES" else 1000)

    @virtual
    async def test() -> None:
        server = Server([listed("10", more="more")])
        following = Following(server)
        await following.run(10)
        assert 10 < len(server.verbs()) < 200
        assert following.sink.reported == []
        assert following.changes == ["UNEXPECTED"]

    test()


@virtual
async def test_another_error_event_waits_and_goes_on() -> None:
    broken = event("ERROR", {"kind": "Status", "code": 500, "message": "etcdserver: leader changed"})
    server = Server([listed("10")], [[5.0, event("ADDED", item("a", 11)), broken], [1000.0]])
    following = Following(server)
    await following.run(60)
    assert server.verbs() == ["list", "watch@10", "watch@11"]


@virtual
async def test_what_a_sink_could_not_take_comes_again() -> None:
    """A bug in a sink must not leave a collection that is watched and was never listed."""
    server = Server([listed("10", item("a", 1))], [[5.0, event("ADDED", item("b", 11)), 1000.0], [1000.0]])
    following = Following(server)
    following.sink.fails = [ValueError("a bug")]
    with pytest.raises(ValueError, match="a bug"):
        await following.reflector.run()
    assert not following.reflector.synced
    following.sink.fails = []
    await following.run(1)
    assert server.verbs() == ["list", "list", "watch@10"]
    assert following.sink.holds == {"a": "1"}


@virtual
async def test_contact_tells_when_the_server_last_spoke() -> None:
    server = Server([listed("10")], [[50.0, bookmark(11), 3600.0], refused()])
    following = Following(server)
    await following.run(500)
    assert following.reflector.contact == pytest.approx(50.0)
    assert following.reflector.failure is not None


@virtual
async def test_cancelled_while_waiting_it_ends() -> None:
    for server in (Server([refused()]), Server([listed("10")], [[3600.0]])):
        following = Following(server)
        await following.run(10)


def test_collections_ask_for_no_more_than_their_readers_need() -> None:
    """Members by metadata and by the existence of our label; Namespaces by metadata; system objects whole."""
    from federation.kube import watches  # noqa: PLC0415 - beside what it proves
    from federation.model import marks  # noqa: PLC0415
    from federation.model.federated import FederatedType  # noqa: PLC0415
    from federation.model.resources import NAMESPACES, SECRETS, Resource  # noqa: PLC0415

    configmaps = Resource("", "v1", "ConfigMap", "configmaps", namespaced=True)
    federated = Resource("types.kubefed.io", "v1beta1", "FederatedConfigMap", "federatedconfigmaps", namespaced=True)
    enabled = FederatedType("configmaps", configmaps, federated)
    connection = cast("Connection", Server([listed("1")]))
    hub = watches.Watches(connection, "system")
    sink = cast("Any", Sink())
    member = watches.copies(connection, enabled, sink, lambda watch: None, lambda: None, manager="kubefed-0").collection
    assert (member.path, member.label_selector) == ("/api/v1/configmaps", marks.MANAGED_LABEL)
    assert "as=PartialObjectMetadata;" in member.accept
    assert "as=PartialObjectMetadataList;" in member.accept_list
    assert hub.metadata(NAMESPACES, sink).collection.accept == member.accept
    assert hub.system(SECRETS, sink).collection.path == "/api/v1/namespaces/system/secrets"
    types = hub.federated(enabled, sink, lambda watch: None).collection
    assert types.path == "/apis/types.kubefed.io/v1beta1/federatedconfigmaps"
    decoded = types.decode(b'{"metadata":{"name":"a","namespace":"n","resourceVersion":"5"},"spec":{"x":1}}')
    assert (types.version(decoded), decoded.where, bytes(decoded.spec), bytes(decoded.status)) == (
        "5",
        ObjectName("n", "a"),
        b'{"x":1}',
        b"",
    )


@virtual
async def test_after_an_outage_the_list_goes_straight_on_to_its_watch() -> None:
    """Neither the failures before it nor its own haste make a member that is back deaf to drift."""
    server = Server([listed("10"), *[refused()] * 9, listed("90")], [[5.0, expired()], [3600.0]])
    following = Following(server, roll=lambda: 1.0)
    await following.run(400)
    assert server.verbs()[:13] == ["list", "watch@10", *["list"] * 10, "watch@90"]
    assert server.times("watch")[1] == server.times("list")[-1]
    assert following.reflector.failure is None


@virtual
async def test_an_expired_version_after_an_outage_is_listed_anew_at_once() -> None:
    """What the outage has counted (nine refusals: a wait of half a minute) says nothing of a server that answers."""
    watches: list[list[Step] | Failure] = [[5.0], *[refused()] * 9, refused(FailureKind.EXPIRED), [3600.0]]
    server = Server([listed("10"), listed("90")], watches)
    following = Following(server, roll=lambda: 1.0)
    await following.run(400)
    assert server.verbs()[:14] == ["list", *["watch@10"] * 11, "list", "watch@90"]
    assert server.times("list")[1] == server.times("watch")[10]
    assert following.reflector.failure is None


@pytest.mark.parametrize("at_once", [1_000, 100])
def test_a_member_that_sends_objects_without_end_is_left_alone_until_it_has_fewer(at_once: int) -> None:
    """By events, too, a member makes us keep no more than its budget, however short its watches are."""

    @virtual
    async def test() -> None:
        flood = [event("ADDED", item(f"n{number}", number + 11)) for number in range(1_000)]
        scripts: list[list[Step] | Failure] = [[*flood[at : at + at_once], 5.0] for at in range(0, 1_000, at_once)]
        server = Server([listed("10"), listed("3000", item("n1", 11))], scripts)
        following = Following(server)
        sink = following.sink

        def remembered() -> tuple[int, int]:
            return len(sink.holds) * 1_000_000, 10 << 20  # so that there is room for some 500 of them

        following.reflector.collection = dataclasses.replace(following.reflector.collection, remembered=remembered)
        task = asyncio.create_task(following.run(400))
        await asyncio.sleep(100)
        assert 500 <= len(sink.holds) <= 500 + BURST + 100
        failure = following.reflector.failure
        assert failure is not None
        assert failure.kind is FailureKind.TOO_MUCH
        await asyncio.sleep(190)
        assert server.verbs().count("list") == 1
        await asyncio.sleep(100)
        assert "=n1" in sink.reported
        await task

    test()


@virtual
async def test_an_open_watch_ends_when_all_is_to_be_listed_anew() -> None:
    server = Server([listed("10", item("a", 3)), listed("5", item("b", 4))], [[1000.0]])
    following = Following(server)
    asyncio.get_running_loop().call_later(20, following.reflector.renew)
    await following.run(40)
    assert server.verbs() == ["list", "watch@10", "list", "watch@5"]
    assert server.times("list")[1] == 20
    assert following.sink.holds == {"b": "4"}


@virtual
async def test_a_list_that_is_under_way_by_then_is_asked_for_once_more() -> None:
    class Slow(Server):
        async def request(self, method: str, path: str, **how: Any) -> Answer | Failure:
            answer = await super().request(method, path, **how)
            await asyncio.sleep(10)
            return answer

    server = Slow([listed("10", item("a", 3)), listed("5", item("b", 4))], [[1000.0]])
    following = Following(server)
    asyncio.get_running_loop().call_later(5, following.reflector.renew)
    await following.run(40)
    assert server.verbs() == ["list", "list", "watch@5"]


@virtual
async def test_a_reflector_that_waits_lists_at_once() -> None:
    server = Server([listed("10", item("a", 3)), listed("5", item("b", 4))], [refused(retry_after=30.0), [1000.0]])
    following = Following(server)
    asyncio.get_running_loop().call_later(5, following.reflector.renew)
    await following.run(20)
    assert server.verbs() == ["list", "watch@10", "list", "watch@5"]
