"""Names by which control planes tell their marks apart."""

from federation.model import marks

UID = "01234567-89ab-cdef-0123-456789abcdef"


def test_the_usual_control_plane_keeps_its_name() -> None:
    assert marks.field_manager(UID) == marks.field_manager(UID, marks.SYSTEM_NAMESPACE) == "kubefed-01234567"


def test_two_control_planes_of_one_hub_are_other_hubs_to_each_other() -> None:
    names = {marks.field_manager(UID, namespace) for namespace in (marks.SYSTEM_NAMESPACE, "team-a", "team-b")}
    assert len(names) == 3
    assert all(marks.is_hubs(name) and marks.is_hubs(marks.claim_manager(name)) for name in names)
    assert marks.field_manager("f" + UID[1:], "team-a") not in names
