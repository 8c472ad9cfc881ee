"""Find federated types that cannot live in one API group: the same plural, kind or short name.

An API server serves every name of a group once. It would accept both CRDs and leave the later one unestablished, and
two files of one name in git would overwrite each other: so clashes are found here, by name, before anything is written.
"""

from collections.abc import Iterable

from typegen import names
from typegen.model import ApiResource, Pair

_Slot = tuple[str, str, str]


def refused(made: Iterable[Pair]) -> dict[str, str]:
    """Targets (`plural.group`) whose federated kind, plural or singular another target has too, and what to do."""
    owners: dict[_Slot, list[Pair]] = {}
    for each in made:
        for slot in _slots(each.federated):
            owners.setdefault(slot, []).append(each)
    found: dict[str, str] = {}
    for (group, what, name), sharing in sorted(owners.items()):
        if len(sharing) < 2:
            continue
        for each in sharing:
            others = sorted(other.target.qualified for other in sharing if other is not each)
            target = each.target
            found.setdefault(
                target.qualified,
                f"{target.qualified} and {', '.join(others)} would both have the {what} {name} in {group}: give one "
                f"another name, such as --name {_suggestion(sharing)}",
            )
    return found


def _slots(federated: ApiResource) -> set[_Slot]:
    return {
        (federated.group, "kind", federated.kind),
        (federated.group, "kind", names.list_kind(federated)),
        (federated.group, "name", federated.plural),
        (federated.group, "name", federated.singular),
    }


def _suggestion(sharing: Iterable[Pair]) -> str:
    """The last of them, by name, as a kind that says its group: FederatedServingService for Knative's."""
    target = max((each.target for each in sharing), key=lambda target: target.qualified)
    label = "".join(part.capitalize() for part in target.group.partition(".")[0].split("-")) or "Core"
    return f"{target.qualified}=Federated{label}{target.kind}"


def short_names(made: Iterable[Pair]) -> dict[str, dict[str, str]]:
    """Short names that are taken: target -> short name -> who has it. The first target by name keeps a name."""
    every = list(made)
    owner: dict[tuple[str, str], str] = {}
    for each in every:
        for name in (each.federated.plural, each.federated.singular):
            owner[each.federated.group, name] = each.target.qualified
    found: dict[str, dict[str, str]] = {}
    for each in every:
        target = each.target.qualified
        for name in each.federated.short_names:
            first = owner.setdefault((each.federated.group, name), target)
            if first != target:
                found.setdefault(target, {})[name] = first
    return found
