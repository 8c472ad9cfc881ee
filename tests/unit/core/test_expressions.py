"""CEL on members' objects: what is true, what is said where it is not, and what is not evaluated at all."""

import builtins
import sys
from typing import Any

import pytest

from federation.core import expressions

OBJECT = {
    "spec": {"replicas": 3, "names": ["a", "b"], "secret": "hunter2"},
    "status": {"readyReplicas": 3, "conditions": [{"type": "Available", "status": "True"}], "note": None},
}


@pytest.fixture(autouse=True)
def fresh() -> None:
    expressions._compiled.cache_clear()
    expressions._environment.cache_clear()


@pytest.mark.parametrize(
    "text",
    [
        "object.status.readyReplicas >= object.spec.replicas",
        "object.status.conditions.exists(c, c.type == 'Available' && c.status == 'True')",
        "has(object.status.readyReplicas) && !has(object.status.other)",
        "object.spec.names.all(n, n.matches('^[ab]$')) && object.spec.names.exists(n, n == 'a')",
        "size(object.spec.names) == 2",
        "hasConditions(object.status) && !hasConditions(object.spec) && !hasConditions(object.spec.names)",
        "!hasConditions({'conditions': []}) && !hasConditions({'conditions': null}) && !hasConditions('text')",
    ],
)
def test_true(text: str) -> None:
    pytest.importorskip("celpy")
    assert expressions.problem([text]) == expressions.unmet([text], OBJECT, 100) == ""


def test_the_limit_of_recursion_stays_that_of_the_process() -> None:
    """Decoders notice by it what nests too deep."""
    pytest.importorskip("celpy")
    before = sys.getrecursionlimit()
    assert expressions.unmet(["object.spec.replicas == 3"], OBJECT, 100) == ""
    assert sys.getrecursionlimit() == before


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("object.status.readyReplicas > 3", "is not true"),
        ("object.spec.replicas", "is neither true nor false"),
        ("object.status.other == 1", "cannot be evaluated"),
        ("object.spec.secret == 1", "cannot be evaluated"),
        ("object.spec.secret + 1 == 2", "cannot be evaluated"),
        ("1 / 0 == 1", "cannot be evaluated"),
        ("nothing.at.all", "cannot be evaluated"),
        ("object.status.note.x == 1", "cannot be evaluated"),
    ],
)
def test_not_true_and_no_value_is_said(text: str, why: str) -> None:
    pytest.importorskip("celpy")
    said = expressions.unmet(["true", text], OBJECT, 100)
    assert why in said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("object.status.readyReplicas >=", "is not CEL"),
        ("x" * 1001, "is longer than"),
        ("[1].all(a, [2].all(b, a < b))", "within another"),
        ("[1].map(a, a).filter(b, [1].exists(c, c == b)).size() > 0", "within another"),
    ],
)
def test_what_is_not_evaluated(text: str, why: str) -> None:
    pytest.importorskip("celpy")
    assert why in expressions.problem([text])
    assert expressions.unmet([text], OBJECT, 100)


@pytest.mark.parametrize("deep", ["(" * 400 + "true" + ")" * 400, "!" * 999 + "true", "[" * 450 + "]" * 450 + " == []"])
def test_what_nests_deeply_is_answered(deep: str) -> None:
    pytest.importorskip("celpy")
    assert isinstance(expressions.problem([deep]) or expressions.unmet([deep], OBJECT, 100), str)


def test_a_large_object_fails_and_nothing_is_evaluated() -> None:
    assert "more than the 64" in expressions.unmet(["true"], OBJECT, 1 << 20)
    assert expressions.unmet([], OBJECT, 1 << 20) == ""


def test_without_cel_python_an_expression_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **options: Any) -> Any:
        if name == "celpy":
            raise ImportError(name)
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    assert "pip install 'kubefed-successor[cel]'" in expressions.problem(["true"])
    assert "pip install 'kubefed-successor[cel]'" in expressions.unmet(["true"], OBJECT, 100)
