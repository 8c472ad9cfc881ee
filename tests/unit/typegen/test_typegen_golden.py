"""What typegen writes, to the byte, and that it writes the same whatever the order of its input.

After a wanted change, write the files anew and read the difference:

    typegen write tests/unit/typegen/crds tests/unit/typegen/openapi e2e/gitops/crds --group '*' \\
        -o tests/unit/typegen/golden
"""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from typegen import bundle, definitions, documents, federate, gathering, openapi, structural, writing
from typegen.kubeyaml import writing as emitting
from typegen.model import Generated
from typegen.settings import Settings

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
SOURCES = (HERE / "crds", HERE / "openapi", ROOT / "e2e/gitops/crds")
FILES = {
    path.relative_to(HERE / "golden").as_posix(): path.read_text(encoding="utf-8")
    for path in sorted((HERE / "golden").rglob("*.yaml"))
}
GOLDEN = {name: content for name, content in FILES.items() if name.endswith(".example.com.yaml")}


def generate(document: dict[str, Any]) -> list[Generated]:
    if definitions.is_definition(document):
        return [federate.from_crd(document)]
    return [federate.from_openapi(document, resource) for resource in openapi.resources(document)]


def everything() -> dict[str, Generated]:
    found = documents.read([str(source) for source in SOURCES])
    made = [generated for each in found for generated in generate(each.document)]
    return {f"{generated.target.qualified}.yaml": generated for generated in made}


def reversed_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: reversed_keys(value[key]) for key in reversed(value)}
    return [reversed_keys(entry) for entry in value] if isinstance(value, list) else value


def test_the_folder_is_what_is_written() -> None:
    settings = Settings(groups=("*",))
    gathered = gathering.gather(documents.read([str(source) for source in SOURCES]), settings)
    assert gathered.refused == ()
    assert bundle.files(gathered.made, settings.options) == FILES


def test_the_order_of_the_sources_changes_nothing() -> None:
    settings = Settings(groups=("*",))
    found = list(documents.read([str(source) for source in SOURCES]))
    assert gathering.gather(found, settings) == gathering.gather(found[::-1], settings)


def test_every_type_has_its_file() -> None:
    assert sorted(everything()) == sorted(GOLDEN)


@pytest.mark.parametrize("name", GOLDEN)
def test_the_bytes_are_those_in_git(name: str) -> None:
    assert writing.text(everything()[name]) == GOLDEN[name]


@pytest.mark.parametrize("name", GOLDEN)
def test_the_template_is_structural(name: str) -> None:
    crd = everything()[name].crd
    for version in crd["spec"]["versions"]:
        assert structural.violations(version["schema"]["openAPIV3Schema"]) == []


def test_the_order_of_keys_changes_nothing() -> None:
    for each in documents.read([str(source) for source in SOURCES]):
        for one, other in zip(generate(each.document), generate(reversed_keys(each.document)), strict=True):
            assert writing.text(one) == writing.text(other)


def test_the_input_is_left_as_it_was() -> None:
    for each in documents.read([str(source) for source in SOURCES]):
        before = json.dumps(each.document)
        generate(each.document)
        assert json.dumps(each.document) == before


def test_both_yaml_emitters_write_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """libyaml is not everywhere; its absence must not show in git."""
    fast = {name: writing.text(generated) for name, generated in everything().items()}
    emitting._dumper.cache_clear()
    monkeypatch.delattr(yaml, "CSafeDumper")
    monkeypatch.delattr(yaml, "CSafeLoader")
    try:
        assert {name: writing.text(generated) for name, generated in everything().items()} == fast
    finally:
        emitting._dumper.cache_clear()


def test_what_is_written_is_what_was_generated() -> None:
    for generated in everything().values():
        assert [each.document for each in documents.parse(writing.text(generated), "")] == generated.manifests


@pytest.mark.parametrize(
    "text", ["y", "Y", "n", "N", "yes", "off", "1_000", "0b1", "08", "1e5", "0o7", ".5", "1.", "~", "<<"]
)
def test_words_that_kubectl_takes_for_more_than_text_are_quoted(text: str) -> None:
    """A CRD with a field `y` would have a field `true`, an enum of "1e5" a number."""
    assert writing.dump([{text: [text, 1, 1.5, True, None]}]) == (
        f"---\n'{text}':\n- '{text}'\n- 1\n- 1.5\n- true\n- null\n"
    )
