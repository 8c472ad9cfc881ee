"""How `enable` and `disable` report what became of the controller's role in every member."""

from collections.abc import Iterable

from federation.cli import failing, options, printing
from federation.joining.roles import MemberRole, Role


def report(members: Iterable[MemberRole]) -> int:
    """Print a line per member on stderr, and on stdout the manifests for their admins. The exit code: 0 or 3."""
    code = 0
    manifests = []
    for member in members:
        if member.state is Role.CHANGED:
            options.report(f"{member.cluster}: {member.message}")
        elif member.state is Role.ALL:
            options.report(f"note: {member.cluster}: left as it is: {member.message}")
        elif member.state in (Role.BY_ADMIN, Role.FAILED):
            code = failing.PARTIAL
            options.report(f"warning: {member.cluster}: the controller's role was not changed: {member.message}")
            if member.manifest is not None:
                options.report(f"next: ask an admin of {member.cluster} to apply the ClusterRole that is printed")
                manifests.append(member.manifest)
    if manifests:
        printing.emit(manifests, "yaml")
    return code
