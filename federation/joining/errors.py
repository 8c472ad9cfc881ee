"""Refusals of the joining steps: each says what was refused, and what to do next."""

from federation.model.errors import FederationError


class Refused(FederationError):
    """Something we decline to do, because it would break or hijack what is there. `hint` is the next step."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class NotInstalled(Refused):
    """The host has no federation API yet."""


class PreflightFailed(Refused):
    """A cluster cannot be joined as it is; every failed check is in the message."""


class NotConfirmed(Refused):
    """We did our part and waited, but what should have followed did not happen in time."""
