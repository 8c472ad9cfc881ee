"""An agent's heartbeat: when it beats, and what it says of its member; on virtual time."""

import asyncio
from typing import Any, cast

import orjson

from federation.agent.heartbeat import FAILURES, LOOK, PERIOD, Heartbeat
from federation.kube.connection import Answer, Connection
from federation.model.failures import Failure, FailureKind
from federation.registration import heartbeats
from tests.unit.virtualtime import virtual

SILENT = Failure(FailureKind.TIMED_OUT, "no answer within 7.5 s")


class Server:
    """An API server that answers as `answers` says by path, else with {}; and what it was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, Failure | Answer] = {}
        self.asked: list[tuple[str, str, Any]] = []

    async def request(self, method: str, path: str, **how: Any) -> Answer | Failure:
        body = orjson.loads(how["body"]) if how.get("body") else None
        self.asked.append((method, path, body))
        return self.answers.get(path, Answer(200, b'{"gitVersion": "v1.36.3"}'))

    def beats(self) -> list[dict[str, Any]]:
        """The annotations of every beat."""
        return [body["metadata"]["annotations"] for method, _, body in self.asked if method == "PATCH"]


class Agent:
    """One whose heartbeat runs while it is entered."""

    def __init__(self) -> None:
        self.hub, self.member = Server(), Server()
        self._heartbeat = Heartbeat(lambda: cast("Connection", self.hub), cast("Connection", self.member), "east", "a1")

    async def __aenter__(self) -> "Agent":
        self._running = asyncio.create_task(self._heartbeat.serve())
        await asyncio.sleep(0.1)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)


@virtual
async def test_a_beat_a_minute_while_all_is_well() -> None:
    async with Agent() as agent:
        await asyncio.sleep(10 * PERIOD)
        assert 10 <= len(agent.hub.beats()) <= 13
        assert {beat[heartbeats.TROUBLE_ANNOTATION] for beat in agent.hub.beats()} == {None}
        assert agent.hub.beats()[-1][heartbeats.VERSION_ANNOTATION] == "v1.36.3"


@virtual
async def test_a_member_that_does_not_answer_is_told_at_once_and_again_when_it_does() -> None:
    async with Agent() as agent:
        agent.member.answers["/readyz"] = SILENT
        before = len(agent.hub.beats())
        await asyncio.sleep(LOOK * FAILURES + 1)
        (told,) = agent.hub.beats()[before:]
        assert told[heartbeats.TROUBLE_ANNOTATION] == SILENT.message
        await asyncio.sleep(3 * PERIOD)
        assert {beat[heartbeats.TROUBLE_ANNOTATION] for beat in agent.hub.beats()[before:]} == {SILENT.message}
        del agent.member.answers["/readyz"]
        await asyncio.sleep(LOOK + 1)
        assert agent.hub.beats()[-1][heartbeats.TROUBLE_ANNOTATION] is None


@virtual
async def test_one_look_that_fails_is_none() -> None:
    async with Agent() as agent:
        agent.member.answers["/readyz"] = SILENT
        await asyncio.sleep(LOOK)
        del agent.member.answers["/readyz"]
        await asyncio.sleep(3 * PERIOD)
        assert {beat[heartbeats.TROUBLE_ANNOTATION] for beat in agent.hub.beats()} == {None}


@virtual
async def test_a_member_that_lets_nobody_ask_is_well() -> None:
    async with Agent() as agent:
        agent.member.answers["/readyz"] = Failure(FailureKind.RIGHT_MISSING, "forbidden")
        await asyncio.sleep(3 * PERIOD)
        assert {beat[heartbeats.TROUBLE_ANNOTATION] for beat in agent.hub.beats()} == {None}


@virtual
async def test_a_beat_that_fails_is_tried_again_soon() -> None:
    async with Agent() as agent:
        path = "/apis/coordination.k8s.io/v1/namespaces/east/leases/managed-cluster-lease"
        agent.hub.answers[path] = Failure(FailureKind.UNREACHABLE, "refused")
        await asyncio.sleep(PERIOD)
        before = len(agent.hub.beats())
        await asyncio.sleep(PERIOD)
        assert len(agent.hub.beats()) - before >= 5
        del agent.hub.answers[path]
        await asyncio.sleep(PERIOD / 6)
        before = len(agent.hub.beats())
        await asyncio.sleep(PERIOD * 2)
        assert len(agent.hub.beats()) - before <= 3
