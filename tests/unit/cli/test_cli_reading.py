"""User files: what YAML means here, and that every refusal names file and line."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.cli import directives, printing, reading
from federation.model.errors import Invalid


def values(text: str) -> list[dict[str, object]]:
    return [document.value for document in reading.parse(text, "a.yaml")]


@pytest.mark.parametrize(
    ("text", "where", "output"),
    [
        pytest.param("a: 1\nb: 2\na: 3\n", "a.yaml:3", "'a' is given twice", id="duplicate"),
        pytest.param("a:\n  b: 1\n  b: 1\n", "a.yaml:3", "'b' is given twice", id="nested-duplicate"),
        pytest.param("a:\n\tb: 1\n", "a.yaml:2", "a tab", id="tab"),
        pytest.param("a: [1\n", "a.yaml:2", "", id="open-bracket"),
        pytest.param("- a\n", "a.yaml:1", "must be a map", id="list"),
        pytest.param("just words\n", "a.yaml:1", "must be a map", id="text"),
        pytest.param("a: 1\n---\n3\n", "a.yaml:3", "must be a map", id="second-document"),
        pytest.param("a: &x\n  b: *x\n", "a.yaml:2", "refers to itself", id="recursion"),
        pytest.param("a: !!binary gg==\n", "a.yaml:1", "not base64 of UTF-8", id="binary"),
        pytest.param("a: .inf\n", "a.yaml:1", "not a number in JSON", id="infinite"),
        pytest.param("? [a]\n: 1\n", "a.yaml:1", "single word", id="key"),
        pytest.param("a: !!python/object/apply:os.system [ls]\n", "a.yaml:1", "is not JSON's", id="python"),
    ],
)
def test_refusals_name_the_line(text: str, where: str, output: str) -> None:
    with pytest.raises(Invalid) as refused:
        values(text)
    assert refused.value.field == where
    assert output in refused.value.message


def test_documents_are_told_apart_and_empty_ones_skipped() -> None:
    assert values("---\n# nothing\n---\na: 1\n---\nb: 2\n...\n") == [{"a": 1}, {"b": 2}]


def test_json_is_read_too() -> None:
    assert values('{"a": [1, true, null], "b": {"c": "d"}}') == [{"a": [1, True, None], "b": {"c": "d"}}]


def test_aliases_share() -> None:
    (found,) = values("a: &a {x: 1}\nb: [*a, *a]\n")
    assert found["b"][0] is found["a"]  # type: ignore[index]


@pytest.mark.parametrize("text", ["0E0", "0o17", "1e3", ".5", "no", "on", "null", "~", "017", "1:30", "=", "<<"])
def test_text_that_looks_like_something_else_stays_text(text: str) -> None:
    assert values(printing.yaml_documents([{"value": text}])) == [{"value": text}]


@pytest.mark.parametrize(
    "text", ["y", "Y", "n", "N", "yes", "off", "1_000", "0b1", "08", "1e5", "0o7", "1:30", "2001-01-01"]
)
def test_what_kubectl_would_take_for_more_than_text_is_quoted(text: str) -> None:
    """kubectl reads YAML 1.1, and some of 1.2."""
    assert printing.yaml_documents([{text: text}]) == f"'{text}': '{text}'\n"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text() | st.floats(-(2.0**53), 2.0**53),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_what_we_print_we_read(value: object) -> None:
    document = {"value": value}
    assert values(printing.yaml_documents([document])) == [document]


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    refused, found = None, []
    try:
        found = values(text)
    except Invalid as error:
        refused = error
    assert refused is None or refused.field.startswith("a.yaml")
    assert all(isinstance(each, dict) for each in found)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="cannot be read: No such file"):
        reading.read(str(tmp_path / "none.yaml"))
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(Invalid, match="not UTF-8"):
        reading.read(str(binary))


# -- directives ------------------------------------------------------------------------------------------------------

DIRECTIVE = """\
apiVersion: core.kubefed.io/v1beta1
kind: EnableTypeDirective
metadata:
  name: deployments.apps
spec:
  targetVersion: v1
  federatedGroup: types.example.com
  federatedVersion: v1alpha1
"""


def written(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "d.yaml"
    path.write_text(text)
    return [str(path)]


def test_directive(tmp_path: Path) -> None:
    (request,) = directives.requests(written(tmp_path, DIRECTIVE))
    assert request.name == "deployments.apps"
    assert (request.version, request.federated_group, request.federated_version) == (
        "v1",
        "types.example.com",
        "v1alpha1",
    )


def test_directive_of_kubefeds_docs_needs_only_a_name(tmp_path: Path) -> None:
    (request,) = directives.requests(written(tmp_path, DIRECTIVE.partition("spec:")[0]))
    assert request.name == "deployments.apps"
    assert request.options("ns").federated_group == "types.kubefed.io"


@pytest.mark.parametrize(
    ("before", "after", "line", "output"),
    [
        pytest.param("targetVersion", "targetVersoin", 6, "did you mean targetVersion?", id="unknown-field"),
        pytest.param("metadata:\n  name", "metadata:\n  nam", 3, "metadata.name is required", id="no-name"),
        pytest.param("kind: EnableTypeDirective", "kind: Deployment", 1, "expected EnableTypeDirective", id="kind"),
        pytest.param("core.kubefed.io/", "core.other.io/", 1, "expected EnableTypeDirective", id="group"),
        pytest.param("targetVersion: v1", "targetVersion: 1", 6, "must be a string", id="number"),
        pytest.param("spec:\n", "extra: 1\nspec:\n", 5, "unknown field extra", id="top"),
        pytest.param("targetVersion: v1", "targetVersion: {a: b}", 6, "single value", id="map"),
    ],
)
def test_directive_refusals(tmp_path: Path, before: str, after: str, line: int, output: str) -> None:
    with pytest.raises(Invalid) as refused:
        directives.requests(written(tmp_path, DIRECTIVE.replace(before, after, 1)))
    assert refused.value.field.endswith(f"d.yaml:{line}")
    assert output in refused.value.message


def test_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="no document"):
        directives.requests(written(tmp_path, "# nothing\n"))


def test_items_of_a_list_have_its_kind_where_they_name_none() -> None:
    """As in the answer of an API server, which names the kind once."""
    text = """
apiVersion: types.kubefed.io/v1beta1
kind: FederatedConfigMapList
metadata: {resourceVersion: "5"}
items:
- metadata: {name: a}
- {apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: Secret}, {metadata: {name: b}}]}
"""
    (document,) = reading.parse(text, "a.yaml")
    found = [(each.value.get("apiVersion"), each.value.get("kind")) for each in reading.flattened(document)]
    assert found == [("types.kubefed.io/v1beta1", "FederatedConfigMap"), ("v1", "Secret"), (None, None)]
