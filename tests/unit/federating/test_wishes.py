"""What flags say: clusters, selectors, overrides."""

from typing import Any

import pytest

from federation.federating import wishes
from federation.model.errors import Invalid


@pytest.mark.parametrize(
    ("words", "names"),
    [
        pytest.param(["east,west"], ("east", "west"), id="commas"),
        pytest.param(["east", "west", "east"], ("east", "west"), id="several-flags-once-each"),
        pytest.param([""], (), id="nowhere"),
    ],
)
def test_clusters(words: list[str], names: tuple[str, ...]) -> None:
    assert wishes.clusters(words) == names


def test_a_cluster_is_a_dns_name() -> None:
    with pytest.raises(Invalid, match="--placement"):
        wishes.clusters(["East!"])


@pytest.mark.parametrize(
    ("text", "selector"),
    [
        pytest.param("", {"matchLabels": {}}, id="all"),
        pytest.param("a=b, c==d", {"matchLabels": {"a": "b", "c": "d"}}, id="equal"),
        pytest.param("a=", {"matchLabels": {"a": ""}}, id="empty-value"),
        pytest.param("a!=b", {"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["b"]}]}, id="unequal"),
        pytest.param(
            "x.io/zone in (a, b),t notin (c)",
            {
                "matchExpressions": [
                    {"key": "x.io/zone", "operator": "In", "values": ["a", "b"]},
                    {"key": "t", "operator": "NotIn", "values": ["c"]},
                ]
            },
            id="sets",
        ),
        pytest.param(
            "lab,!old",
            {
                "matchExpressions": [
                    {"key": "lab", "operator": "Exists"},
                    {"key": "old", "operator": "DoesNotExist"},
                ]
            },
            id="exists",
        ),
    ],
)
def test_selectors_in_kubectls_words(text: str, selector: dict[str, Any]) -> None:
    assert wishes.selector(text) == selector


@pytest.mark.parametrize("text", ["a=b,", "a=b=c", "a in b", "a=b,a=c", "=b", "a b", "-=x"])
def test_selectors_that_are_none(text: str) -> None:
    with pytest.raises(Invalid):
        wishes.selector(text)


@pytest.mark.parametrize(
    ("word", "change"),
    [
        pytest.param("east:/spec/replicas=5", wishes.Change("/spec/replicas", 5), id="number"),
        pytest.param("east:/a=true", wishes.Change("/a", True), id="boolean"),
        pytest.param('east:/a="5"', wishes.Change("/a", "5"), id="quoted"),
        pytest.param("east:/a=v1=x:y", wishes.Change("/a", "v1=x:y"), id="text"),
        pytest.param('east:/a={"b":[1]}', wishes.Change("/a", {"b": [1]}), id="json"),
        pytest.param("east:/a=", wishes.Change("/a", ""), id="empty"),
        pytest.param("east:/a=NaN", wishes.Change("/a", "NaN"), id="not-a-number"),
        pytest.param("east:/a/b-", wishes.Change("/a/b", op="remove"), id="remove"),
    ],
)
def test_overrides(word: str, change: wishes.Change) -> None:
    assert wishes.override(word) == ("east", change)


@pytest.mark.parametrize("word", ["east", "east:/a", "east:a=1", "/a=1", "Ea:/a=1"])
def test_overrides_that_are_none(word: str) -> None:
    with pytest.raises(Invalid):
        wishes.override(word)


def test_one_path_twice_is_refused() -> None:
    with pytest.raises(Invalid, match="twice"):
        wishes.changes(["east:/a=1", "east:/a=2"])
    assert list(wishes.changes(["east:/a=1", "west:/a=2"])) == ["east", "west"]
