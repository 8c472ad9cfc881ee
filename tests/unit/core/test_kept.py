"""What a member keeps otherwise than its manifest says, and who owns it."""

from typing import Any

import msgspec
import orjson
from hypothesis import given
from hypothesis import strategies as st

from federation.core import differences, kept
from federation.core.kept import Kept
from federation.core.managedfields import Entry


def entry(manager: str, fields: dict[str, Any], subresource: str = "") -> Entry:
    raw = msgspec.Raw(orjson.dumps(fields))
    return Entry(manager, "Apply", "apps/v1", "", "FieldsV1", raw, subresource)


OURS = entry(
    "kubefed-1",
    {
        "f:metadata": {"f:labels": {"f:kubefed.io/managed": {}, "f:app": {}}},
        "f:spec": {
            "f:template": {
                "f:spec": {
                    "f:containers": {'k:{"name":"app"}': {".": {}, "f:image": {}, "f:name": {}}},
                    "f:tolerations": {},
                }
            }
        },
    },
)
SCALER = entry("scaler", {"f:spec": {"f:replicas": {}}})


def manifest(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop", "labels": {"kubefed.io/managed": "true", "app": "web"}},
        "spec": {"template": {"spec": {"containers": [{"name": "app", "image": "web:1"}]}}, **spec},
    }


def there(image: str = "web:1", **spec: Any) -> dict[str, Any]:
    found = manifest(**spec)
    found["metadata"] |= {"uid": "1", "resourceVersion": "2", "managedFields": []}
    pod = found["spec"]["template"]["spec"]
    pod["containers"] = [
        {"name": "sidecar", "image": "x"},
        {"name": "app", "image": image, "imagePullPolicy": "Always"},
    ]
    return {**found, "status": {"replicas": 1}}


def test_nothing_is_kept_where_all_is_as_it_was_sent_and_others_add_to_it() -> None:
    assert kept.kept(manifest(), there(), [OURS]) == []


def test_a_field_that_somebody_owns() -> None:
    found = kept.kept(manifest(replicas=1), there(replicas=4), [OURS, SCALER])
    assert found == [Kept(".spec.replicas", 1, 4, ("scaler",))]


def test_an_element_of_a_list_is_found_by_its_keys() -> None:
    (found,) = kept.kept(manifest(), there("web:2"), [OURS])
    assert (found.path, found.wanted, found.there) == (
        '.spec.template.spec.containers[name="app"].image',
        "web:1",
        "web:2",
    )
    assert found.managers == ("kubefed-1",)


def test_a_field_that_the_member_drops_is_owned_by_nobody() -> None:
    asked = manifest()
    asked["spec"]["template"]["spec"]["schedulingGroup"] = "g"
    found = kept.kept(asked, there(), [OURS])
    assert found == [Kept(".spec.template.spec.schedulingGroup", "g", differences.ABSENT)]


def test_statuses_entries_and_our_own_marks_are_left_out() -> None:
    present = there()
    present["metadata"]["labels"] = {"app": "web"}
    status = entry("kubelet", {"f:spec": {"f:replicas": {}}}, "status")
    assert kept.kept(manifest(), present, [OURS, status]) == []


_VALUES = st.recursive(
    st.sampled_from([1, "a", None, True]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2),
    max_leaves=5,
)


@given(_VALUES, _VALUES, _VALUES)
def test_any_objects_and_field_sets_are_compared(one: Any, other: Any, fields: Any) -> None:
    """Whatever a member answers is no bug here; and of an object with itself nothing is kept."""
    entries = [Entry("x", "Apply", "v1", "", "FieldsV1", msgspec.Raw(orjson.dumps(fields)))]
    kept.kept({"spec": one}, {"spec": other}, entries)
    assert kept.kept({"spec": one}, {"spec": one}, entries) == []
