"""The host's objects of a join: create or change the member's Secret and its KubeFedCluster.

Joining again keeps everything that it does not have to change: labels and annotations that somebody set, fields that
are not in the user's kubeconfig. So an existing object is changed by a merge patch; applying it server-side would
remove every field that an earlier join had set and this one does not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from federation.core import binding
from federation.joining import applying
from federation.joining.applying import Outcome
from federation.joining.errors import Refused
from federation.joining.objects import Manifest
from federation.kube import connection as http
from federation.kube.connection import MERGE_PATCH, Connection

_WITHHELD = frozenset({"caBundle", "token", "kubeconfig", "proxyURL"})
"""Fields whose values are long or secret: only that they change is reported, not the values."""

_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@dataclass(frozen=True, slots=True)
class Kept:
    """The spec of a KubeFedCluster after a join, and messages about fields that are kept from before."""

    spec: Manifest
    notes: tuple[str, ...] = ()


def spec_after(name: str, asked: Manifest, found: Mapping[str, Any] | None, bound: Mapping[str, Any] | None) -> Kept:
    """The spec after a join: `asked`, and those fields of the `found` one that are not in the kubeconfig.

    `bound` is the endpoint that the credentials were stored for (core.binding). The join binds them anew to the spec
    that it keeps, so a field that was changed since is kept only where it cannot lead a token elsewhere. Raises Refused
    where the change turned TLS verification off.
    """
    spec, notes = dict(asked), []
    before = dict(found or {})
    now = binding.place(before)
    for field in ("caBundle", "proxyURL", "disabledTLSValidations"):
        if field in asked or not before.get(field):
            continue
        changed = bound is not None and bound.get(field) != now[field]
        if changed and field == "caBundle":
            continue  # a CA that was changed since is not trusted: the kubeconfig's is
        if changed and field == "disabledTLSValidations":
            raise Refused(
                f"kubefedcluster {name} turns TLS verification off ({', '.join(before[field])}), which it did not "
                "when its credentials were stored",
                "remove spec.disabledTLSValidations from it, or join with a kubeconfig that has "
                "insecure-skip-tls-verify",
            )
        spec[field] = before[field]
        if changed:
            notes.append("its proxyURL was changed after its credentials were stored; this join keeps it")
    return Kept(spec, tuple(notes))


def at_the_present_place(asked: Manifest, found: Mapping[str, Any]) -> Manifest:
    """`asked` with the whole place of the `found` KubeFedCluster: its address, and by what that is trusted."""
    place = ("apiEndpoint", "caBundle", "proxyURL", "disabledTLSValidations")
    before = found.get("spec") or {}
    return {key: value for key, value in asked.items() if key not in place} | {
        key: before[key] for key in place if before.get(key)
    }


def merged(found: Mapping[str, Any] | None, manifest: Manifest) -> Manifest:
    """The manifest with the labels and annotations that the object has: whoever applies it takes none of them off."""
    if found is None:
        return manifest
    metadata = dict(manifest["metadata"])
    for part in ("labels", "annotations"):
        there = {key: value for key, value in (found["metadata"].get(part) or {}).items() if key != _LAST_APPLIED}
        if both := there | (metadata.get(part) or {}):
            metadata[part] = both
    return {**manifest, "metadata": metadata}


def patch(found: Mapping[str, Any], manifest: Manifest) -> Manifest:
    """The merge patch that gives `found` the fields of `manifest`; {} when it has them already.

    Of the fields of a spec that a join writes, those that are not in `manifest` are removed; so is a Secret's
    kubeconfig, which would count instead of its token.
    """
    made: Manifest = {}
    for part in ("labels", "annotations"):
        differing = _differing(found["metadata"].get(part), manifest["metadata"].get(part) or {})
        if differing:
            made.setdefault("metadata", {})[part] = differing
    for part, stray in (("spec", ("caBundle", "proxyURL", "disabledTLSValidations")), ("data", ("kubeconfig",))):
        if part in manifest:
            there = found.get(part) or {}
            differing = _differing(there, manifest[part])
            differing |= {key: None for key in stray if key in there and key not in manifest[part]}
            if differing:
                made[part] = differing
    return made


def changes(found: Mapping[str, Any] | None, manifest: Manifest) -> list[str]:
    """What storing `manifest` would change, a line for each field."""
    if found is None:
        return ["would be created"]
    made = patch(found, manifest)
    lines = []
    for part, holder in (("spec", made.get("spec")), ("data", made.get("data"))):
        lines += [
            _line(f"{part}.{key}", (found.get(part) or {}).get(key), value) for key, value in (holder or {}).items()
        ]
    for part, holder in (made.get("metadata") or {}).items():
        there = found["metadata"].get(part) or {}
        lines += [_line(f"metadata.{part}[{key}]", there.get(key), value) for key, value in holder.items()]
    return lines or ["unchanged"]


async def store(host: Connection, manifest: Manifest) -> Outcome:
    """Create the object, or change it by `patch`. Raises ApiFailure."""
    resource, name = applying.resource_of(manifest), applying.name_of(manifest)
    found = await applying.find(host, resource, name)
    if found is None:
        return await applying.apply(host, manifest)
    made = patch(found, manifest)
    if not made:
        return Outcome.UNCHANGED
    # If the object was replaced by another one of the same name meanwhile, the patch fails.
    made.setdefault("metadata", {})["uid"] = found["metadata"]["uid"]
    answer = await applying.request(
        host,
        "PATCH",
        resource.path(name),
        params={"fieldManager": applying.MANAGER},
        body=orjson.dumps(made),
        content_type=MERGE_PATCH,
        secret=applying.is_secret(resource),
    )
    http.expect(answer, f"{host.name}: patch {applying.label(resource, name)}")
    return Outcome.CONFIGURED


def _differing(there: Mapping[str, Any] | None, wanted: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in wanted.items() if (there or {}).get(key) != value}


def _line(path: str, before: Any, after: Any) -> str:
    if path.rpartition(".")[2] in _WITHHELD or path.endswith(f"[{binding.ANNOTATION}]"):
        return f"{path}: {'added' if before is None else 'removed' if after is None else 'changed'}"
    return f"{path}: {_shown(before)} -> {_shown(after)}"


def _shown(value: Any) -> str:
    return "<none>" if value is None else value if isinstance(value, str) else orjson.dumps(value).decode()
