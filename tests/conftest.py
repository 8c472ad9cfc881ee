"""What holds for every test of the house."""

import signal

import hypothesis

hypothesis.settings.register_profile("house", deadline=None)  # a busy machine is no finding
hypothesis.settings.load_profile("house")


def pytest_configure() -> None:
    """A shell's background job ignores SIGINT and passes that on: what tests start here must hear Ctrl-C."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
