"""What holds for every test of the house."""

import gc
import signal
import time
from collections.abc import Generator, Iterator

import hypothesis
import pytest

hypothesis.settings.register_profile("house", deadline=None)  # a busy machine is no finding
hypothesis.settings.load_profile("house")

_RERUN_TEXT = 600
"""Characters of the beginning and of the end of a first try's failure in the summary."""


def pytest_configure() -> None:
    """A shell's background job ignores SIGINT and passes that on: what tests start here must hear Ctrl-C."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """No garbage is collected while a report is made.

    A report of a failure parses the test's source. What a finalizer complains of in the midst of that is formatted,
    which parses, too, and before Python 3.11.8 (gh-106905) that ends the whole run with a SystemError.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


_TRUE_TIME = time.time, time.monotonic


@pytest.fixture(autouse=True)
def true_time() -> Iterator[None]:
    """The clocks are the true ones again after each test.

    A test in virtual time that sets the clock by `monkeypatch` has that undone after the virtual time is: it would give
    the virtual clock back to all later tests. This fixture begins before `monkeypatch`, so it ends after it.
    """
    yield
    time.time, time.monotonic = _TRUE_TIME


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What the tests failed with that then got a second try, a line each.

    Here, not beside the tests on clusters, which get one: of several processes, the one that prints reads only this.
    """
    reruns = terminalreporter.stats.get("rerun", ())
    if reruns:
        terminalreporter.section("first tries that failed")
    for report in reruns:
        crash = getattr(report.longrepr, "reprcrash", None)
        told = f"{crash.path}:{crash.lineno}: {crash.message}" if crash is not None else ""
        if crash is None or "sub-exception" in told:  # a group names only how many it has
            told += f" {report.longreprtext}"
        told = " ".join(told.split())
        if len(told) > 2 * _RERUN_TEXT:
            told = f"{told[:_RERUN_TEXT]} [...] {told[-_RERUN_TEXT:]}"
        terminalreporter.line(f"{report.nodeid} ({report.when}): {told}")
