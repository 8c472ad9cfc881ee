"""How `enable` and `disable` tell what became of the role in every member."""

from collections.abc import Iterable

from federation.cli import failing, options, printing
from federation.joining.roles import MemberRole, Role


def tell(members: Iterable[MemberRole]) -> int:
    """One line a member on stderr; manifests for other people's clusters on stdout. The exit code: 0, or 3."""
    code = 0
    manifests = []
    for member in members:
        if member.state is Role.CHANGED:
            options.report(f"{member.cluster}: {member.message}")
        elif member.state in (Role.BY_ADMIN, Role.FAILED):
            code = failing.PARTIAL
            options.report(f"warning: {member.cluster}: its role is as before: {member.message}")
            if member.manifest is not None:
                options.report(f"next: have an admin of {member.cluster} apply the ClusterRole that is printed")
                manifests.append(member.manifest)
    if manifests:
        printing.emit(manifests, "yaml")
    return code
