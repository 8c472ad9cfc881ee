"""One reading of YAML, kubectl's: words, keys and documents as sigs.k8s.io/yaml reads them (see record.py)."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.cli import printing
from federation.cli import reading as files
from federation.model.errors import Invalid
from typegen import documents, model, writing
from typegen.kubeyaml import reading, scalars

TABLE = json.loads((Path(__file__).parent / "kubectl.json").read_text())
MERGES = "a: &a {" + ", ".join(f"k{n}: 1" for n in range(500)) + "}\nb:\n" + "- {<<: *a}\n" * 500


def read(text: str) -> list[Any] | None:
    """As the fixture says it: the value as a list of one, None for a refusal."""
    try:
        return [reading.value(text)]
    except reading.Unreadable:
        return None


def same(one: Any, other: Any) -> bool:
    """Whether both are the same JSON; 1 is not true and 1.0 is not 1."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


@pytest.mark.parametrize("word", TABLE["words"])
def test_a_word_is_what_it_is_to_kubectl(word: str) -> None:
    assert same(read(f"a: {word}"), TABLE["words"][word]), TABLE["library"]


@pytest.mark.parametrize("word", TABLE["keys"])
def test_a_key_is_what_it_is_to_kubectl(word: str) -> None:
    assert same(read(f"{word}: 1"), TABLE["keys"][word])


@pytest.mark.parametrize(("text", "wanted"), TABLE["documents"])
def test_a_document_is_what_it_is_to_kubectl(text: str, wanted: Any) -> None:
    assert same(read(text), wanted)


def test_every_short_word_of_signs_and_digits() -> None:
    more = TABLE["not text"]
    for size in range(1, TABLE["length"] + 1):
        for each in map("".join, itertools.product(TABLE["alphabet"], repeat=size)):
            if each != "-":
                found = scalars.resolve(each)
                assert scalars.is_text(each) == (each not in more), each
                assert same(scalars.value(found), more.get(each, each)), each


@pytest.mark.parametrize("word", ["0400", "yes", "1_000", "0b11", "n", "1e3", "2026-01-01", "~", "0o17"])
def test_fedctl_and_typegen_read_alike(word: str, tmp_path: Path) -> None:
    """A file mode, a flag and a property called `n` mean the same to both, and to kubectl."""
    text = f"apiVersion: v1\nkind: X\n{word if word != '~' else 'x'}: 1\nvalue: {word}\n"
    wanted = reading.value(text)
    assert [each.value for each in files.parse(text, "a.yaml")] == [wanted]
    assert [each.document for each in documents.parse(text, "a.yaml")] == [wanted]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: 1\nb: 2\na: 3", 3, "field 'a' is given twice"),
        ("1: a\n'1': b", 2, "field '1' is given twice"),
        ("yes: a\non: b", 2, "field 'true' is given twice"),
        ("a: !Ref b", 1, "tag !Ref"),
        ("a: !!python/object/apply:os.system [ls]", 1, "tag"),
        ("a: 1\nb: .inf", 2, "not a number in JSON"),
        ("a: b\n\n? [c]\n: 1", 3, "single word"),
        ("a: 1\n--- {b: 1}\n", 2, "more than one document"),
    ],
)
def test_what_is_refused_says_where(text: str, line: int, message: str) -> None:
    with pytest.raises(reading.Unreadable, match=message) as refused:
        reading.value(text)
    assert refused.value.line == line


def bomb(width: int, depth: int, leaf: str = "x") -> str:
    lines = [f"a0: &a0 [{', '.join([leaf] * width)}]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, depth)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(bomb(9, 9), id="lists"),
        pytest.param(bomb(9, 9).replace("[", "{k0: ").replace(", ", ", k1: "), id="one-map-in-another"),
        pytest.param(MERGES, id="merges"),
        pytest.param("a: &a " + "x" * 100_000 + "\nb: [" + ", ".join(["*a"] * 1000) + "]", id="a-long-text"),
        pytest.param(bomb(2, 40), id="doubling"),
    ],
)
def test_aliases_cannot_multiply(text: str) -> None:
    """Refused by counting, before anything is written out; everybody who reads YAML is behind this."""
    with pytest.raises(reading.Unreadable, match=r"aliases written out|given twice"):
        reading.value(text)
    with pytest.raises(Invalid):
        list(files.parse(text, "a.yaml"))
    with pytest.raises(model.Unusable):
        list(documents.parse(text, "a.yaml"))


def test_aliases_that_people_write_are_read() -> None:
    text = "labels: &l {app: web, tier: front}\n" + "".join(f"o{n}: {{labels: *l, at: {n}}}\n" for n in range(1000))
    assert reading.value(text)["o999"] == {"labels": {"app": "web", "tier": "front"}, "at": 999}


@pytest.mark.parametrize(
    "text", ["[" * 5000, '{"a":' * 5000 + "1" + "}" * 5000, "- " * 5000, "a: " + "{b: " * 300 + "}" * 300]
)
def test_depth_is_bounded(text: str) -> None:
    with pytest.raises(reading.Unreadable, match=r"levels deep|nesting|nested"):
        reading.value(text)


@pytest.mark.parametrize("form", ["{}", "JSON"])
def test_depth_is_the_same_in_both_forms(form: str) -> None:
    limits = reading.Limits(depth=10)
    for depth, fits in ((10, True), (11, False)):
        text = '{"a":' * (depth - 1) + "{}" + "}" * (depth - 1)
        text = text if form == "JSON" else text.replace('"a":', "a: ")
        assert (len([*_taken(text, limits)]) == 1) is fits, (form, depth)


def _taken(text: str, limits: reading.Limits) -> Any:
    try:
        yield from reading.documents(text, limits)
    except reading.Unreadable:
        return


def test_places_are_lines() -> None:
    text = "a:\n  b:\n    - c\n    - d: 1\ne: &e\n  f: 1\ng: *e\nh:\n  <<: *e\n"
    (found,) = reading.documents(text, places=True)
    asked: list[tuple[tuple[str | int, ...], int]] = [
        (("a",), 1),
        (("a", "b", 1), 4),
        (("a", "b", 1, "d"), 4),
        (("e", "f"), 6),
        (("g", "f"), 6),
        (("h", "f"), 6),
        (("a", "nothing"), 1),
        ((), 1),
    ]
    assert [(path, found.place.find(*path).line) for path, _ in asked] == asked


ASCII = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=8)
WORD = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | ASCII
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.text()
    | st.sampled_from(sorted(TABLE["words"]))
    | st.floats(-(2.0**53), 2.0**53),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text() | st.sampled_from(sorted(TABLE["keys"])), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(JSON)
def test_what_is_written_is_read(value: Any) -> None:
    """Both writers quote what the one reading would take for something else."""
    assert reading.value(printing.yaml_documents([{"value": value}])) == {"value": value}
    assert reading.value(writing.dump([{"value": value}])) == {"value": value}


@given(st.recursive(WORD, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ASCII, inner, max_size=3)))
def test_json_is_read_as_yaml_would_be(value: Any) -> None:
    text = json.dumps({"value": value})
    assert reading.value(text) == {"value": value} == reading.value(f"# a comment makes it YAML\n{text}")


@given(st.text(alphabet="ab:-?*&!|>[]{},# \n'\"%@`<~0"))
def test_any_text_is_read_or_refused(text: str) -> None:
    found = read(text)
    assert found is None or json.dumps(found)
