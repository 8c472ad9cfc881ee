"""The command `fedctl` itself: which verbs there are, and how an error becomes a line and an exit code."""

import pathlib
import sys
from collections.abc import Sequence

from federation.cli import failing
from federation.cli.verbs import LazyGroup, State

VERBS = {
    "init": "Install the federation API on the host cluster.",
    "join": "Make a cluster a member.",
    "unjoin": "Undo the join of a member.",
    "cordon": "Stop all writes to members.",
    "uncordon": "Write to members again.",
    "enable": "Switch federation of a type on.",
    "disable": "Switch federation of a type off.",
    "federate": "Make federated objects of plain ones, at the host or from files.",
    "plan": "Show what a change of the hub would do in every member, before it is applied.",
    "apply": "Apply a plan that was kept, if nothing has moved since.",
    "validate": "Check federated YAML in git, without a cluster.",
    "orphaning-deletion": "Whether deleting a federated object leaves its copies in place.",
    "get": "List clusters, types or federated objects.",
    "status": "Show what became of one federated object, cluster by cluster.",
    "rollout": "Show a staged rollout, and pause, resume, approve or undo it.",
    "deletions": "Show deletions that are held, and let them go or reject them.",
    "recovery": "After the hub was restored from a backup: what it means, and how it goes on.",
    "version": "Show the versions of fedctl, the controller and the members.",
    "completion": "Print the shell's completion script.",
    "playground": "Real local clusters to try things on.",
    "controller": "Run the controller.",
    "help": "Show the help of a command.",
}
"""Every verb and its line in `fedctl --help`; the command is `<verb>` in `federation.cli.<verb>`."""

EXAMPLES = """
  fedctl init --host-cluster-context host
  fedctl join east --cluster-context east --host-cluster-context host
  fedctl enable deployments.apps
  fedctl get clusters
"""


def _name() -> str:
    return "kubectl fed" if pathlib.Path(sys.argv[0]).stem == "kubectl-fed" else "fedctl"


fedctl = LazyGroup(
    name="fedctl",
    package="federation.cli",
    verbs=VERBS,
    help="Push federation for Kubernetes: one host, many members.",
    examples=EXAMPLES,
    version=True,
)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; the exit code. Prints what went wrong, without a traceback unless -v is given."""
    state = State()
    try:
        outcome = fedctl.main(
            args=list(arguments) if arguments is not None else None,
            prog_name=_name(),
            standalone_mode=False,
            obj=state,
            complete_var="_FEDCTL_COMPLETE",
        )
    except (Exception, KeyboardInterrupt) as error:
        return failing.report(error, name=_name(), verbose=state.verbose)
    return outcome if isinstance(outcome, int) else 0
