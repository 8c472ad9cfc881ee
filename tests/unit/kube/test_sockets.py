"""The process's connections are counted; at the limit idle ones are closed, and then it is said clearly."""

import resource

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from federation.kube import sockets as module
from federation.kube.sockets import RESERVED, Sockets, TooMany, descriptors


class Idle:
    """A pool with idle connections."""

    def __init__(self, idle: int, sockets: Sockets) -> None:
        self.idle = idle
        self._sockets = sockets
        sockets.register(self)

    def close_idle(self) -> None:
        self.idle -= 1
        self._sockets.give()


def full(sockets: Sockets) -> Sockets:
    while sockets.open < sockets.most:
        sockets.take()
    return sockets


def test_the_limit_leaves_descriptors_to_others() -> None:
    for allowed in (1, 100, 256, 1024, 1 << 20):
        assert 1 <= Sockets(lambda allowed=allowed: allowed).most <= max(1, allowed - RESERVED)  # type: ignore[misc]


def test_at_the_limit_nothing_is_opened_and_the_log_says_so_once() -> None:
    sockets = full(Sockets(lambda: 1024))
    with capture_logs() as logs:
        for _ in range(5):
            with pytest.raises(TooMany, match="may have no more"):
                sockets.take()
    assert [(entry["log_level"], entry["open_files"]) for entry in logs] == [("error", 1024)]
    sockets.give()
    sockets.take()


def test_watches_leave_room_for_requests() -> None:
    sockets = Sockets(lambda: 1024)
    while sockets.open < sockets.most - sockets.most // 8:
        sockets.take(watch=True)
    with capture_logs(), pytest.raises(TooMany):
        sockets.take(watch=True)
    assert sockets.open < sockets.most
    full(sockets)


def test_what_is_idle_makes_room_where_there_is_most_of_it() -> None:
    sockets = Sockets(lambda: 1024)
    few, many = Idle(1, sockets), Idle(3, sockets)
    full(sockets)
    for _ in range(4):
        sockets.take()
    assert (few.idle, many.idle) == (0, 0)
    with capture_logs(), pytest.raises(TooMany):
        sockets.take()


@pytest.mark.parametrize(
    ("limits", "most"),
    [((1024, 4096), 1024), ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), 1 << 20)],
)
def test_the_limit_is_the_systems(monkeypatch: pytest.MonkeyPatch, limits: tuple[int, int], most: int) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    assert descriptors() == most


def test_a_metric_shows_the_count() -> None:
    before = REGISTRY.get_sample_value("federation_open_connections")
    module.sockets.take()
    try:
        assert REGISTRY.get_sample_value("federation_open_connections") == (before or 0) + 1
    finally:
        module.sockets.give()
