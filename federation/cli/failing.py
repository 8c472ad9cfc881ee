"""How every error is reported: `error: <what failed>` and `next: <what to do>` on stderr, and the exit code.

FederationErrors are imported only when an error was raised, so that help stays fast.
"""

import sys
import traceback

import click

from federation.cli.verbs import TRACEBACKS
from typegen import cli_errors

FAILED, USAGE, PARTIAL, INTERRUPTED = 1, 2, 3, 130
KUBEFEDCTL = "kubefedctl"
"""The name by which scripts that were written for KubeFed may call fedctl."""
_NO_SUCH_FLAG, _FATAL = 1, 255
"""kubefedctl's exit codes: it does not understand a flag or has no such command, and everything else."""


class Partly(click.ClickException):
    """Some clusters were done and some were not; exit code 3."""

    exit_code = PARTIAL


def report(error: BaseException, *, name: str, verbose: int) -> int:
    """Print the error, with its traceback only if -v asks for it; the exit code, as kubefedctl's if that is `name`."""
    if name == KUBEFEDCTL and isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message())
        return 0
    code = _report(error, name=name, verbose=verbose)
    return _kubefedctls(error, code) if name == KUBEFEDCTL else code


def _kubefedctls(error: BaseException, code: int) -> int:
    if code in {0, PARTIAL, INTERRUPTED}:
        return code
    if isinstance(error, click.BadParameter):
        understood = not isinstance(error.param, click.Option) or error.param.name == "output"
    else:
        understood = not isinstance(error, click.NoSuchOption | click.BadOptionUsage | cli_errors.UnknownCommand)
    return _FATAL if understood else _NO_SUCH_FLAG


def _report(error: BaseException, *, name: str, verbose: int) -> int:
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, KeyboardInterrupt | click.Abort):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    if isinstance(error, BrokenPipeError):
        sys.stderr.close()  # nobody reads the output: end without a message, as kubectl does
        return FAILED
    if verbose >= TRACEBACKS or (verbose and not _expected(error)):
        click.echo("".join(traceback.format_exception(error)), err=True)
    if isinstance(error, click.ClickException):
        return _click(error, name)
    return _ours(error)


def _expected(error: BaseException) -> bool:
    """Whether the error was raised on purpose, so that its message is enough and a traceback would not help."""
    from federation.model.errors import FederationError  # noqa: PLC0415

    return isinstance(error, click.ClickException | FederationError) or type(error).__name__ == "PlaygroundError"


def _click(error: click.ClickException, name: str) -> int:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message(), err=True)
        return error.exit_code
    message = error.format_message()
    message = message[:1].lower() + message[1:]
    click.echo(f"error: {message.rstrip('.')}", err=True)
    if isinstance(error, click.UsageError):
        path = error.ctx.command_path if error.ctx else name
        click.echo(f"next: {path} --help", err=True)
    return error.exit_code


def _ours(error: BaseException) -> int:
    from federation.model.errors import ApiFailure, FederationError, Invalid, Unusable  # noqa: PLC0415

    if isinstance(error, FederationError):
        click.echo(f"error: {error}", err=True)
        hint = getattr(error, "hint", "") or (_hint(error) if isinstance(error, ApiFailure) else "")
        if hint:
            click.echo(f"next: {hint}", err=True)
        return USAGE if isinstance(error, Invalid | Unusable) else FAILED
    if type(error).__name__ == "PlaygroundError":
        click.echo(f"error: {error}", err=True)
        return FAILED
    click.echo(f"error: {type(error).__name__}: {error}", err=True)
    click.echo("next: this is a bug in fedctl; run the command again with -v and report what it prints", err=True)
    return FAILED


def _hint(error: BaseException) -> str:
    from federation.cli import rights  # noqa: PLC0415
    from federation.model.errors import ApiFailure  # noqa: PLC0415
    from federation.model.failures import FailureKind as Kind  # noqa: PLC0415

    assert isinstance(error, ApiFailure)  # noqa: S101 (the caller's promise, for mypy)
    cluster = str(error).partition(":")[0]
    match error.failure.kind:
        case Kind.UNREACHABLE | Kind.TIMED_OUT | Kind.UNAVAILABLE | Kind.UNEXPECTED:
            return f"check whether the API server answers: kubectl --context {cluster} get --raw /readyz"
        case Kind.UNTRUSTED:
            return "put this API server's certificate-authority-data into the kubeconfig"
        case Kind.UNAUTHORIZED:
            return f"log in again, then: kubectl --context {cluster} auth whoami"
        case Kind.RIGHT_MISSING:
            return rights.hint(error.failure.message) or "ask an admin of that cluster, or use another context"
        case Kind.TYPE_MISSING:
            return f"if the federation API is not installed there: fedctl init --host-cluster-context {cluster}"
        case Kind.THROTTLED:
            return "the API server is overloaded: run the same command again later"
    return ""
