"""Ownership: the set algebra against plain sets of paths, what an object shows, and the patches of apply's corners."""

from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.core import digests, fieldsets, managedfields, ownership
from federation.core.managedfields import PartialMetadata
from federation.model.observations import Observed

OURS = "kubefed-0123abcd"
AT = 1767225600
"""2026-01-01, the time of all entries."""
DECODER = msgspec.json.Decoder(managedfields.PartialObject)

LABEL: dict[str, Any] = {"f:metadata": {"f:labels": {"f:kubefed.io/managed": {}}}}
OWNED: dict[str, Any] = {"f:metadata": {"f:ownerReferences": {".": {}, 'k:{"uid":"7eec96a2"}': {}}}}
CHILD: dict[str, Any] = {"f:metadata": {**LABEL["f:metadata"], **OWNED["f:metadata"]}}
REPLICAS: dict[str, Any] = {"f:spec": {"f:replicas": {}}}


def _entry(manager: str, fields: dict[str, Any], operation: str = "Update", **extra: str) -> dict[str, Any]:
    return {
        "manager": manager,
        "operation": operation,
        "apiVersion": "apps/v1",
        "time": "2026-01-01T00:00:00Z",
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
        **extra,
    }


def _mine(fields: dict[str, Any], **extra: str) -> dict[str, Any]:
    return _entry(OURS, fields, "Apply", **extra)


def _claim(hub: str, operation: str = "Apply") -> dict[str, Any]:
    return _entry(f"{hub}-claim", {"f:metadata": {"f:annotations": {"f:kubefed.io/claimed-by-x": {}}}}, operation)


def _meta(*entries: dict[str, Any], managed: str | None = "true", **fields: Any) -> PartialMetadata:
    labels = {} if managed is None else {"kubefed.io/managed": managed}
    metadata = {"name": "n", "uid": "u", "resourceVersion": "41", "labels": labels, "managedFields": list(entries)}
    return DECODER.decode(orjson.dumps({"kind": "PartialObjectMetadata", "metadata": {**metadata, **fields}})).metadata


def _digest(fields: dict[str, Any]) -> str:
    return digests.short(orjson.dumps(fields))


@pytest.mark.parametrize(
    ("meta", "expected"),
    [
        pytest.param(
            _meta(_mine(LABEL), _entry("hpa", REPLICAS)), Observed("u", 41, _digest(LABEL), managed=True), id="ours"
        ),
        pytest.param(
            _meta(_mine(LABEL), managed="false"), Observed("u", 41, _digest(LABEL), managed=False), id="false"
        ),
        pytest.param(_meta(managed=None), Observed("u", 41, "", managed=False), id="no-label-no-entries"),
        pytest.param(
            _meta(_mine({**LABEL, **REPLICAS})),
            Observed("u", 41, _digest({**LABEL, **REPLICAS}), managed=True, owns_replicas=True),
            id="owns-replicas",
        ),
        pytest.param(
            _meta(_mine({"f:spec": {"f:strategy": {"f:replicas": {}}}})),
            Observed("u", 41, _digest({"f:spec": {"f:strategy": {"f:replicas": {}}}}), managed=True),
            id="other-replicas-are-not-spec's",
        ),
        pytest.param(
            _meta(_mine(LABEL, subresource="scale")),
            Observed("u", 41, "", managed=True),
            id="a-subresource-entry-is-not-our-main-one",
        ),
        pytest.param(
            _meta(_mine(LABEL), deletionTimestamp="2026-01-01T00:00:00Z"),
            Observed("u", 41, _digest(LABEL), managed=True, deleting=True),
            id="deleting",
        ),
        pytest.param(
            _meta(_entry("kubefed-99999999", LABEL, "Apply")),
            Observed("u", 41, "", managed=True, other_hub="kubefed-99999999"),
            id="another-hub",
        ),
        pytest.param(
            _meta(_mine(LABEL), _entry("kubefed-99999999", LABEL, "Apply")),
            Observed("u", 41, _digest(LABEL), managed=True, other_hub="kubefed-99999999"),
            id="two-hubs-with-equal-values",
        ),
        pytest.param(
            _meta(_mine(LABEL), _entry(f"{OURS}-replicas", REPLICAS, "Apply"), _entry("kubefed-UP", LABEL, "Apply")),
            Observed("u", 41, _digest(LABEL), managed=True),
            id="our-second-manager-and-other-names-are-no-hubs",
        ),
        pytest.param(
            _meta(_mine(LABEL), _claim("kubefed-99999999"), _claim("kubefed-88888888")),
            Observed("u", 41, _digest(LABEL), managed=True, claims=("kubefed-88888888", "kubefed-99999999")),
            id="claimed-by-two-hubs-and-owned-by-us",
        ),
        pytest.param(
            _meta(_entry("kubefed-99999999", LABEL, "Apply"), _claim(OURS)),
            Observed("u", 41, "", managed=True, other_hub="kubefed-99999999", claimed=True),
            id="claimed-by-us",
        ),
        pytest.param(
            _meta(_mine(LABEL), _claim("kubefed-UP"), _claim("kubefed-99999999", operation="Update")),
            Observed("u", 41, _digest(LABEL), managed=True),
            id="what-only-looks-like-a-claim",
        ),
        pytest.param(
            _meta(_entry("controller-manager", {**LABEL, **REPLICAS})),
            Observed("u", 41, "", managed=True, legacy=True),
            id="made-by-kubefed",
        ),
        pytest.param(
            _meta(_entry("kube-controller-manager", CHILD)),
            Observed("u", 41, "", managed=True, copied=True),
            id="an-endpointslice-has-the-labels-of-its-service",
        ),
        pytest.param(
            _meta(_entry("kube-controller-manager", LABEL)),
            Observed("u", 41, "", managed=True, copied=True),
            id="endpoints-have-them-too-and-no-owner",
        ),
        pytest.param(
            _meta(_entry("cert-manager", CHILD, "Apply")),
            Observed("u", 41, "", managed=True, copied=True),
            id="a-child-that-is-applied",
        ),
        pytest.param(
            _meta(_entry("kube-controller-manager", OWNED), _entry("kubectl-label", LABEL)),
            Observed("u", 41, "", managed=True, legacy=True),
            id="a-label-that-somebody-put-on-a-child",
        ),
        pytest.param(
            _meta(_entry("kube-controller-manager", OWNED), _mine(LABEL)),
            Observed("u", 41, _digest(LABEL), managed=True),
            id="ours-that-a-controller-adopted",
        ),
        pytest.param(
            _meta(_entry("kubectl", LABEL), _mine(REPLICAS)),
            Observed("u", 41, _digest(REPLICAS), managed=True, owns_replicas=True),
            id="ours-already-is-not-legacy",
        ),
        pytest.param(
            _meta(_entry("x", {"f:metadata": {"f:annotations": {"f:kubefed.io/managed": {}}}})),
            Observed("u", 41, "", managed=True),
            id="an-annotation-of-that-name-is-not-the-label",
        ),
        pytest.param(
            _meta(_mine(LABEL), resourceVersion="opaque"),
            Observed("u", 0, _digest(LABEL), managed=True),
            id="a-version-that-is-no-number",
        ),
    ],
)
def test_observing(meta: PartialMetadata, expected: Observed) -> None:
    at = AT if expected.owned_digest else 0  # of no entry but our own
    assert managedfields.observe(meta, OURS) == msgspec.structs.replace(expected, applied_at=at)


@pytest.mark.parametrize(
    ("time", "at"),
    [
        pytest.param("2026-01-01T00:00:01Z", AT + 1, id="a-time"),
        pytest.param("2026-01-01T01:00:00+01:00", AT, id="of-another-zone"),
        pytest.param("2026-01-01T00:00:00.9Z", AT, id="with-a-fraction"),
        pytest.param("", 0, id="none"),
        pytest.param("0001-01-01T00:00:00Z", 0, id="before-the-epoch"),
        pytest.param("yesterday", 0, id="garbage"),
        pytest.param("9" * 400, 0, id="a-long-number"),
    ],
)
def test_the_time_of_our_entry(time: str, at: int) -> None:
    others = [_entry("hpa", REPLICAS), _claim("kubefed-99999999"), _mine(REPLICAS, subresource="scale")]
    assert managedfields.observe(_meta(*others, {**_mine(LABEL), "time": time}), OURS).applied_at == at


def test_time_is_not_in_the_digest_and_can_be_absent() -> None:
    later = {**_mine(LABEL), "time": "2027-01-01T00:00:00Z"}
    timeless = {name: value for name, value in later.items() if name != "time"}
    observed = {managedfields.observe(_meta(entry), OURS).owned_digest for entry in (_mine(LABEL), later, timeless)}
    assert observed == {_digest(LABEL)}


def test_whose_claim_is_there() -> None:
    meta = _meta(_mine(LABEL), _claim("kubefed-99999999"))
    assert managedfields.has_claim(meta, "kubefed-99999999")
    assert not managedfields.has_claim(meta, OURS)


ELEMENTS = st.sampled_from(["f:a", "f:b", 'k:{"name":"c"}', 'v:"x"'])
PATH_SETS = st.frozensets(st.lists(ELEMENTS, min_size=1, max_size=3).map(tuple), max_size=6)


def _tree(paths: frozenset[tuple[str, ...]]) -> dict[str, Any]:
    """The encoding of a set of paths, as structured-merge-diff writes it: `.` only where a path goes on."""
    root: dict[str, Any] = {}
    for path in sorted(paths):
        node = root
        for index, element in enumerate(path):
            if element not in node:
                node[element] = {}
            elif not node[element] and path[: index + 1] in paths and index + 1 < len(path):
                node[element] = {".": {}}
            node = node[element]
    return root


def _paths(tree: Any, prefix: tuple[str, ...] = ()) -> frozenset[tuple[str, ...]]:
    found: set[tuple[str, ...]] = set()
    if prefix and (not tree or "." in tree):
        found.add(prefix)
    for element, below in tree.items():
        if element != ".":
            found |= _paths(below, (*prefix, element))
    return frozenset(found)


@given(PATH_SETS)
def test_the_encoding_used_here_is_faithful(paths: frozenset[tuple[str, ...]]) -> None:
    assert _paths(_tree(paths)) == paths


@given(PATH_SETS, PATH_SETS)
def test_union_and_difference_are_those_of_sets(
    left: frozenset[tuple[str, ...]], right: frozenset[tuple[str, ...]]
) -> None:
    one, other = _tree(left), _tree(right)
    before = orjson.dumps([one, other])
    assert fieldsets.union(one, other) == _tree(left | right)
    assert fieldsets.difference(one, other) == _tree(left - right)
    assert orjson.dumps([one, other]) == before


@given(PATH_SETS, PATH_SETS)
def test_what_is_taken_and_what_is_left_make_the_whole(
    left: frozenset[tuple[str, ...]], right: frozenset[tuple[str, ...]]
) -> None:
    one, other = _tree(left), _tree(right)
    left_over = fieldsets.difference(one, other)
    assert fieldsets.union(left_over, other) == fieldsets.union(one, other)
    assert fieldsets.difference(left_over, other) == left_over


def test_contains() -> None:
    fields: dict[str, Any] = {"f:spec": {"f:template": {"f:spec": {}}}}
    assert fieldsets.contains(fields, ("f:spec", "f:template"))
    assert not fieldsets.contains(fields, ("f:spec", "f:replicas"))
    assert not fieldsets.contains(fields, ("f:spec", "f:template", "f:spec", "f:deeper"))
    assert fieldsets.single("f:spec", "f:replicas") == REPLICAS


def _replace(*entries: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"op": "replace", "path": "/metadata/managedFields", "value": list(entries)},
        {"op": "replace", "path": "/metadata/resourceVersion", "value": "41"},
    ]


def _new(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in _mine(fields).items() if name != "time"}


KUBEFED = {**LABEL, "f:spec": {"f:replicas": {}, "f:paused": {}}}
SCALE = _entry("hpa", REPLICAS, subresource="scale")
SYSTEM = _entry("kube-controller-manager", {"f:spec": {"f:paused": {}, "f:replicas": {}}})


@pytest.mark.parametrize(
    ("meta", "retain", "expected"),
    [
        pytest.param(
            _meta(_entry("controller-manager", KUBEFED), SCALE, SYSTEM),
            False,
            _replace(_new(KUBEFED), SCALE, SYSTEM),
            id="kubefeds-entry-becomes-ours",
        ),
        pytest.param(
            _meta(_entry("controller-manager", KUBEFED)),
            True,
            _replace(_new({**LABEL, "f:spec": {"f:paused": {}}}), _entry("controller-manager", REPLICAS)),
            id="retained-replicas-stay-with-the-old-owner",
        ),
        pytest.param(
            _meta(_entry("controller-manager", {**LABEL, "f:spec": {}})),
            True,
            _replace(_new({**LABEL, "f:spec": {}})),
            id="a-whole-spec-is-one-path",
        ),
        pytest.param(
            _meta(_entry("controller-manager", {**LABEL, "f:status": {"f:x": {}}})),
            False,
            _replace(_new(LABEL), _entry("controller-manager", {"f:status": {"f:x": {}}})),
            id="status-is-not-taken",
        ),
        pytest.param(
            _meta(_entry("a", LABEL), _entry("b", {**LABEL, **REPLICAS})),
            False,
            _replace(_new({**LABEL, **REPLICAS})),
            id="two-writers-of-the-label",
        ),
        pytest.param(
            _meta(_entry("a", LABEL), _entry("b", LABEL, apiVersion="apps/v1beta2")),
            False,
            _replace(_new(LABEL), _entry("b", LABEL, apiVersion="apps/v1beta2")),
            id="another-version's-paths-mean-something-else",
        ),
        pytest.param(_meta(_entry("kubectl", REPLICAS)), False, None, id="nobody-owns-the-label"),
        pytest.param(_meta(_entry("a", LABEL), _mine(LABEL)), False, None, id="ours-already"),
        pytest.param(_meta(), False, None, id="no-entries"),
    ],
)
def test_taking_over_what_kubefed_made(meta: PartialMetadata, retain: bool, expected: Any) -> None:
    assert ownership.union_patch(meta, OURS, retain_replicas=retain) == expected


THEIRS = {
    "f:metadata": {"f:labels": {".": {}, "f:app": {}, "f:team": {}}},
    "f:spec": {"f:replicas": {}, "f:paused": {}},
}
NAMED = {"f:metadata": {"f:labels": {"f:app": {}, "f:kubefed.io/managed": {}}}, "f:spec": {"f:replicas": {}}}


@pytest.mark.parametrize(
    ("meta", "retain", "expected"),
    [
        pytest.param(
            _meta(_mine(NAMED), _entry("kubectl-client-side-apply", THEIRS), SCALE, SYSTEM),
            False,
            _replace(
                _mine(NAMED),
                _entry(
                    "kubectl-client-side-apply",
                    {"f:metadata": {"f:labels": {".": {}, "f:team": {}}}, "f:spec": {"f:paused": {}}},
                ),
                SCALE,
                SYSTEM,
            ),
            id="our-paths-leave-theirs",
        ),
        pytest.param(
            _meta(_mine(NAMED), _entry("kubectl", REPLICAS), _entry("edit", {"f:data": {}})),
            False,
            _replace(_mine(NAMED), _entry("edit", {"f:data": {}})),
            id="an-entry-that-becomes-empty-goes",
        ),
        pytest.param(
            _meta(_mine(NAMED), _entry("kubectl", REPLICAS)), True, None, id="retained-replicas-are-not-taken"
        ),
        pytest.param(_meta(_mine(NAMED), _entry("edit", {"f:data": {}})), False, None, id="nothing-shared"),
        pytest.param(
            _meta(_mine(NAMED), _entry("kubectl", THEIRS, "Apply"), _entry("edit", REPLICAS)),
            False,
            _replace(
                _mine(NAMED),
                _entry(
                    "kubectl",
                    {"f:metadata": {"f:labels": {".": {}, "f:team": {}}}, "f:spec": {"f:paused": {}}},
                    "Apply",
                ),
            ),
            id="who-applied-it-gives-way-as-whoever-else",
        ),
        pytest.param(
            _meta(_mine(NAMED), _entry("x", THEIRS, apiVersion="apps/v1beta2")),
            False,
            _replace(
                _mine(NAMED),
                _entry(
                    "x",
                    {"f:metadata": {"f:labels": {".": {}, "f:team": {}}}, "f:spec": {"f:paused": {}}},
                    apiVersion="apps/v1beta2",
                ),
            ),
            id="another-version",
        ),
        pytest.param(
            _meta(
                _mine({"f:spec": {"f:ref": {"f:name": {}}, "f:atomic": {}}}),
                _entry("x", {"f:spec": {"f:ref": {}, "f:atomic": {"f:a": {}}, "f:b": {}}}, apiVersion="apps/v1beta2"),
            ),
            False,
            _replace(
                _mine({"f:spec": {"f:ref": {"f:name": {}}, "f:atomic": {}}}),
                _entry("x", {"f:spec": {"f:b": {}}}, apiVersion="apps/v1beta2"),
            ),
            id="one-leaf-in-one-version-and-a-tree-in-the-other",
        ),
        pytest.param(
            _meta(
                _mine(NAMED), _entry(f"{OURS}-replicas", REPLICAS, "Apply"), _entry("kubefed-99999999", NAMED, "Apply")
            ),
            False,
            None,
            id="hubs-do-not-give-way-nor-do-our-second-managers",
        ),
        pytest.param(_meta(_entry("kubectl", REPLICAS)), False, None, id="no-entry-of-ours"),
    ],
)
def test_sharing_out_an_adopted_object(meta: PartialMetadata, retain: bool, expected: Any) -> None:
    assert ownership.subtract_patch(meta, OURS, retain_replicas=retain) == expected


UNLABEL = {"op": "remove", "path": "/metadata/labels/kubefed.io~1managed"}


@pytest.mark.parametrize(
    ("meta", "keep", "expected"),
    [
        pytest.param(
            _meta(_mine(NAMED), _entry(f"{OURS}-replicas", REPLICAS, "Apply"), SCALE),
            False,
            [UNLABEL, *_replace(SCALE)],
            id="label-and-both-entries-go",
        ),
        pytest.param(_meta(_mine(NAMED)), False, [UNLABEL, *_replace({})], id="a-sole-entry-is-wiped"),
        pytest.param(
            _meta(_mine(NAMED), _entry("kubefed-99999999", NAMED, "Apply")),
            True,
            _replace(_entry("kubefed-99999999", NAMED, "Apply")),
            id="the-label-stays-for-another-hub",
        ),
        pytest.param(
            _meta(_mine(NAMED), SCALE, managed="false"), False, _replace(SCALE), id="somebody-else's-value-stays"
        ),
        pytest.param(
            _meta(_entry("controller-manager", KUBEFED)),
            False,
            [UNLABEL, {"op": "replace", "path": "/metadata/resourceVersion", "value": "41"}],
            id="kubefeds-object-loses-the-label",
        ),
        pytest.param(_meta(SCALE, managed=None), False, None, id="nothing-of-ours"),
    ],
)
def test_letting_go(meta: PartialMetadata, keep: bool, expected: Any) -> None:
    assert ownership.release_patch(meta, OURS, keep_label=keep) == expected


@given(PATH_SETS, PATH_SETS, st.booleans())
def test_sharing_out_leaves_every_path_one_owner_and_settles(
    ours: frozenset[tuple[str, ...]], theirs: frozenset[tuple[str, ...]], retain: bool
) -> None:
    meta = _meta(_mine(_tree(ours)), _entry("kubectl", _tree(theirs)))
    patch = ownership.subtract_patch(meta, OURS, retain_replicas=retain)
    entries = patch[0]["value"] if patch else [_mine(_tree(ours)), _entry("kubectl", _tree(theirs))]
    owned = [_paths(entry["fieldsV1"]) for entry in entries]
    around = {path[:length] for path in ours for length in range(len(path))}  # maps and elements that hold ours
    assert ours | (theirs - around) <= frozenset().union(*owned) <= ours | theirs
    assert owned[0] == ours
    assert not any(owned[0] & other for other in owned[1:])
    assert ownership.subtract_patch(_meta(*entries), OURS, retain_replicas=retain) is None


SIZE: dict[str, Any] = {"f:spec": {"f:size": {}}}
V1, V2 = {"apiVersion": "shop/v1"}, {"apiVersion": "shop/v2"}
LATER = {"time": "2026-02-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("meta", "gone", "expected"),
    [
        pytest.param(
            _meta(_mine(SIZE, **V1), _entry("kubectl", REPLICAS, **V1), SCALE),
            "shop/v1",
            _replace(_mine(SIZE, **V2), _entry("kubectl", REPLICAS, **V2), SCALE),
            id="everybodys-of-a-version-that-is-gone",
        ),
        pytest.param(
            _meta(_mine(SIZE, **V1), _entry("kubectl", REPLICAS, **V1)),
            "",
            _replace(_mine(SIZE, **V2), _entry("kubectl", REPLICAS, **V1)),
            id="ours-alone-while-it-is-served",
        ),
        pytest.param(
            _meta(_mine(SIZE, **V1, **LATER), _mine(REPLICAS, **V2)),
            "shop/v1",
            _replace(_mine({"f:spec": {"f:replicas": {}, "f:size": {}}}, **V2, **LATER)),
            id="two-entries-become-one",
        ),
        pytest.param(
            _meta(_entry("kubectl", SIZE, **V1), _entry("kubectl", SIZE, "Apply", **V2)),
            "shop/v1",
            _replace(_entry("kubectl", SIZE, **V2), _entry("kubectl", SIZE, "Apply", **V2)),
            id="another-operation-is-another-entry",
        ),
        pytest.param(_meta(_mine(SIZE, **V2)), "shop/v1", None, id="nothing-of-it"),
        pytest.param(_meta(_entry("kubectl", SIZE, **V1)), "", None, id="nothing-of-ours"),
    ],
)
def test_a_version_that_is_gone_leaves_managedfields(meta: PartialMetadata, gone: str, expected: Any) -> None:
    assert ownership.renew_patch(meta, (OURS,), "shop/v2", gone) == expected
