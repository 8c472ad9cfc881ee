"""A snapshot with its index by namespace, against the obvious model."""

from hypothesis import given
from hypothesis import strategies as st

from federation.model.resources import ObjectName
from federation.runtime.store import Store

NAMES = st.builds(ObjectName, st.sampled_from(["", "a", "b"]), st.sampled_from(["x", "y", "z"]))


@given(st.lists(st.tuples(st.booleans(), NAMES, st.integers())))
def test_store_is_a_dict_with_an_index(steps: list[tuple[bool, ObjectName, int]]) -> None:
    store: Store[int] = Store()
    model: dict[ObjectName, int] = {}
    for put, name, value in steps:
        if put:
            assert store.put(name, value) == model.get(name)
            model[name] = value
        else:
            assert store.drop(name) == model.pop(name, None)
        assert dict(store.items()) == model
        assert (len(store), set(store)) == (len(model), set(model))
        for namespace in ("", "a", "b", "nowhere"):
            within = sorted(name for name in model if name.namespace == namespace)
            assert sorted(store.within(namespace)) == within
            assert store.count(namespace) == len(within)
    assert set(store._namespaces) == {name.namespace for name in model}


def test_the_letters_of_all_names_are_counted() -> None:
    store: Store[int] = Store()
    for name in ("a", "bcd", "a"):
        store.put(ObjectName("ns", name), 1)
    assert store.letters == 2 * 2 + 4
    store.drop(ObjectName("ns", "bcd"))
    store.drop(ObjectName("ns", "bcd"))
    assert store.letters == 3
    store.drop(ObjectName("ns", "a"))
    assert store.letters == 0
