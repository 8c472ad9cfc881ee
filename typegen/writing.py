"""Write federated types as YAML for git: stable to the byte, with a comment on top about what was not carried over."""

from collections.abc import Iterable, Mapping
from typing import Any

from typegen.kubeyaml import reading
from typegen.kubeyaml import writing as printing
from typegen.model import ApiResource, Caution, Generated

MARK = "# Written by typegen; change the source and write it again."
"""The second line of every file that typegen writes, by which `check` and `--prune` recognise them."""


def text(generated: Generated) -> str:
    """The file of one type: a header, the federated CRD and the FederatedTypeConfig."""
    return _titled(generated.target, generated.federated, generated.cautions) + dump(generated.manifests)


def renamed(content: str, target: ApiResource, federated: ApiResource, cautions: Iterable[Caution]) -> str:
    """The file `content` of a type with other short names."""
    crd, *others = (document.value for document in reading.documents(content))
    called = {key: value for key, value in crd["spec"]["names"].items() if key != "shortNames"}
    short = {"shortNames": list(federated.short_names)} if federated.short_names else {}
    crd["spec"]["names"] = {**called, **short}
    return _titled(target, federated, cautions) + dump([crd, *others])


def _titled(target: ApiResource, federated: ApiResource, cautions: Iterable[Caution]) -> str:
    return header(f"{federated.kind}, the federated form of {target.kind} in {target.api_version}.", cautions)


def header(title: str, cautions: Iterable[Caution]) -> str:
    """Comment lines: what the file is, and the cautions."""
    lines = [f"# {title}", MARK]
    noted = sorted(set(cautions))
    if noted:
        lines += ["#", "# Not carried over from the target, or not as it was:"]
        lines += [f"#   {' '.join(str(caution).split())}" for caution in noted]
    return "\n".join(lines) + "\n"


def dump(documents: Iterable[Mapping[str, Any]]) -> str:
    """`documents` as one YAML stream with sorted keys: equal input gives equal bytes."""
    return printing.dump(documents, sort_keys=True, explicit_start=True, width=2**20)
