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
    "token": "Make, list and end the tokens with which clusters ask to be members in pull mode.",
    "accept": "Make a cluster that asks for it a member in pull mode.",
    "register": "Make this cluster ask a hub to be a member in pull mode.",
    "unregister": "Undo the registration of a cluster in pull mode.",
    "cordon": "Stop all writes to members.",
    "uncordon": "Write to members again.",
    "drain": "Have the replicas that preferences put into members made elsewhere.",
    "enable": "Switch federation of a type on.",
    "disable": "Switch federation of a type off.",
    "federate": "Make federated objects of plain ones, at the host or from files.",
    "plan": "Show what a change of the hub would do in every member, before it is applied.",
    "apply": "Apply a plan that was kept, if nothing has moved since.",
    "validate": "Check federated YAML in git, without a cluster.",
    "orphaning-deletion": "Whether deleting a federated object leaves its copies in place.",
    "get": "List clusters, types, federated objects, scheduling preferences, controllers or registrations.",
    "status": "Show what became of one federated object, cluster by cluster.",
    "explain": "Show why each cluster gets what it gets: selection, overrides, what differs there, what waits.",
    "diff": "Show what members hold against what they should hold.",
    "events": "Print the Events about a federated object's copies and what they own, of all members.",
    "logs": "Print the logs of a federated object's Pods, of all members.",
    "wait": "Wait until clusters or federated objects are ready, propagated, healthy or gone.",
    "rollout": "Show a staged rollout, and pause, resume, approve or undo it.",
    "deletions": "Show deletions that are held, and let them go or reject them.",
    "recovery": "After the hub was restored from a backup: what it means, and how it goes on.",
    "migrate": "Take over a running KubeFed installation in place, step by step.",
    "version": "Show the versions of fedctl, the controller and the members.",
    "completion": "Print the shell's completion script.",
    "playground": "Real local clusters to try things on.",
    "compare": "Measure push and pull on this machine, claim by claim.",
    "controller": "Run the controller.",
    "agent": "Run the agent of a pull cluster.",
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
    called = pathlib.Path(sys.argv[0]).stem
    return {"kubectl-fed": "kubectl fed", failing.KUBEFEDCTL: failing.KUBEFEDCTL}.get(called, "fedctl")


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
    name = _name()
    state = State(kubefedctl=name == failing.KUBEFEDCTL)
    try:
        outcome = fedctl.main(
            args=list(arguments) if arguments is not None else None,
            prog_name=name,
            standalone_mode=False,
            obj=state,
            complete_var="_FEDCTL_COMPLETE",
        )
    except (Exception, KeyboardInterrupt) as error:
        return failing.report(error, name=name, verbose=state.verbose)
    return outcome if isinstance(outcome, int) else 0
