"""Find federated types that cannot be in one API group, because they have the same plural, kind or short name.

An API server serves every name of a group once. It would accept both CRDs and never establish the later one, and two
files of one name in git would overwrite each other. So clashes are found here before anything is written.
"""

from collections.abc import Iterable

from typegen import names
from typegen.model import ApiResource, Pair

_Slot = tuple[str, str, str]


def refused(made: Iterable[Pair]) -> dict[str, str]:
    """Targets (`plural.group`) whose federated names another target has, too, with a message what to do."""
    return {
        name: f"{reason}: give one another name, such as --name {suggestion(sharing)}"
        for name, (reason, sharing) in _clashing(made).items()
    }


def reasons(made: Iterable[Pair]) -> dict[str, str]:
    """The same, with the reason only."""
    return {name: reason for name, (reason, _) in _clashing(made).items()}


def _clashing(made: Iterable[Pair]) -> dict[str, tuple[str, list[Pair]]]:
    owners: dict[_Slot, dict[str, Pair]] = {}
    for each in made:
        for slot in _slots(each.federated):
            owners.setdefault(slot, {})[each.target.qualified] = each
    found: dict[str, tuple[str, list[Pair]]] = {}
    for (group, what, name), sharing in sorted(owners.items()):
        for target in sharing if len(sharing) > 1 else ():
            others = ", ".join(sorted(sharing.keys() - {target}))
            reason = f"{target} and {others} would both have the {what} {name} in {group}"
            found.setdefault(target, (reason, list(sharing.values())))
    return found


def _slots(federated: ApiResource) -> set[_Slot]:
    return {
        (federated.group, "kind", federated.kind),
        (federated.group, "kind", names.list_kind(federated)),
        (federated.group, "name", federated.plural),
        (federated.group, "name", federated.singular),
    }


def suggestion(sharing: Iterable[Pair]) -> str:
    """A new name for the last of them: a kind with its group in it, as FederatedServingService for Knative's."""
    target = max((each.target for each in sharing), key=lambda target: target.qualified)
    label = "".join(part.capitalize() for part in target.group.partition(".")[0].split("-")) or "Core"
    return f"{target.qualified}=Federated{label}{target.kind}"


def short_names(made: Iterable[Pair]) -> dict[str, dict[str, str]]:
    """Short names that clash: target -> short name -> the type that has it. The first target by name keeps it."""
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
