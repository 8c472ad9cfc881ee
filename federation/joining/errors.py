"""Errors of the joining steps: each has a message and a hint what to do next."""

from federation.model.errors import FederationError


class Refused(FederationError):
    """A step that is not done because it would break or take over something. `hint` is what to do next."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class NotInstalled(Refused):
    """The host has no federation API yet."""


class PreflightFailed(Refused):
    """A cluster cannot be joined; the message has every failed check."""


class NotConfirmed(Refused):
    """A step was done, but its effect was not seen in time."""
