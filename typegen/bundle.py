"""The files for git: one per type, RBAC for host and members, a kustomization; written, compared, or printed.

    DIR/<plural.group>.yaml     federated CRD and FederatedTypeConfig
    DIR/rbac-host.yaml          what the hub needs beside them
    DIR/kustomization.yaml      all of the above: kubectl apply -k DIR at the hub
    DIR/members/rbac.yaml       for the members' admins, where `fedctl join` does not make their roles

members/ is a separate folder, so that no tool applies it to the hub by accident.
"""

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path

from typegen import rights, writing
from typegen.gathering import Piece
from typegen.model import Options, Unusable

KUSTOMIZATION = "kustomization.yaml"
HOST_RBAC = "rbac-host.yaml"
MEMBER_RBAC = "members/rbac.yaml"


def files(made: tuple[Piece, ...], options: Options) -> dict[str, str]:
    """File name -> content for these types, sorted by target."""
    if not made:
        return {}
    types = {f"{piece.target.qualified}.yaml": piece.text for piece in made}
    member = rights.member_role(
        made, options.system_namespace, options.member_account, options.templates, namespaced=bool(options.within)
    )
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [*sorted(types), HOST_RBAC],
    }
    return {
        **types,
        HOST_RBAC: host_rbac(made, options),
        KUSTOMIZATION: writing.header("The federated types of this folder, for the hub.", ())
        + writing.dump([kustomization]),
        MEMBER_RBAC: writing.header("What the controller may do in a member, for these types and no others.", ())
        + writing.dump(member),
    }


def host_rbac(made: tuple[Piece, ...], options: Options) -> str:
    """The hub's roles for these types."""
    roles = [role for piece in made for role in rights.host_roles(piece, options.templates, within=options.within)]
    return writing.header("The hub's rights on the federated types of this folder.", ()) + writing.dump(roles)


def printed(made: tuple[Piece, ...], options: Options) -> str:
    """Everything for the hub as one stream, for `kubectl apply -f -`."""
    return "".join([*(piece.text for piece in made), host_rbac(made, options)]) if made else ""


def write(folder: Path, wanted: Mapping[str, str]) -> None:
    """Write the files that differ. Raises Unusable when the folder cannot be written."""
    try:
        for name, content in wanted.items():
            path = folder / name
            if _read(path) != content:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(content, encoding="utf-8", newline="\n")
    except OSError as error:
        raise Unusable(f"{error.filename or folder}: cannot be written: {error.strerror}") from error


def stale(folder: Path, wanted: Mapping[str, str]) -> list[str]:
    """Files below `folder` that an earlier run of typegen wrote and this one would not write."""
    if not folder.is_dir():
        return []
    found = [*folder.glob("*.yaml"), *(folder / "members").glob("*.yaml")]
    names = sorted(path.relative_to(folder).as_posix() for path in found)
    return [name for name in names if name not in wanted and _is_ours(folder / name)]


def differences(folder: Path, wanted: Mapping[str, str]) -> Iterator[str]:
    """A unified diff for each file that differs, from what is in the folder to what would be written."""
    gone = dict.fromkeys(stale(folder, wanted), "")
    for name, content in sorted({**wanted, **gone}.items()):
        current = _read(folder / name) or ""
        if current != content:
            before = f"{folder / name}" if current else "/dev/null"
            after = "/dev/null" if name in gone else f"{folder / name} (would be written)"
            yield from difflib.unified_diff(
                current.splitlines(keepends=True), content.splitlines(keepends=True), before, after
            )


def _read(path: Path) -> str | None:
    try:
        return path.read_bytes().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unusable(f"{path}: cannot be read: {error.strerror}") from error


def _is_ours(path: Path) -> bool:
    return writing.MARK in (_read(path) or "").splitlines()[:2]
