"""The error of this package; printed by the command line."""


class PlaygroundError(Exception):
    """A playground could not be started, found or changed. The message names what failed and what to do next."""
