"""Errors, by what happens next.

FederationError
├── Invalid        the user's input is wrong: never retried, waits for a change of the named object
├── Unusable       a credential, endpoint or file cannot be used: waits for a change of it
└── ApiFailure     an API server answered with a Failure and the caller cannot go on: retried by its kind
"""

from federation.model.failures import Failure


class FederationError(Exception):
    """Anything we raise on purpose; the message is fit for users and free of secrets."""


class Invalid(FederationError):
    """Input that only its author can mend; `field` is a path such as `spec.overrides[0].clusterName`."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.field = field
        self.message = message


class Unusable(FederationError):
    """A kubeconfig, Secret or endpoint that cannot be used, with what to change."""


class ApiFailure(FederationError):
    """An API server refused or did not answer; `failure` is what went wrong, and how to go on."""

    def __init__(self, failure: Failure, doing: str = "") -> None:
        super().__init__(f"{doing}: {failure.message}" if doing else failure.message)
        self.failure = failure
