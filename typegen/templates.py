"""Load and render the manifests that `fedctl`, typegen and the Helm chart share.

They are in the folder templates/ at the top of the repository: `crds/` (the API's own types), `host/` and `member/`
(what is installed in a hub and in a member) and `types/` (the manifests around a federated type's schema). A wheel has
them as data beside this module. Files end in `.yaml`; every one is a Jinja2 template. An undefined value is an error,
never an empty string.
"""

import functools
import json
from collections.abc import Callable, Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typegen.kubeyaml import reading, writing

if TYPE_CHECKING:
    import jinja2

Document = dict[str, Any]

CORE_CRDS = (
    "crds/core.kubefed.io_federatedrevisions.yaml",
    "crds/core.kubefed.io_federatedrollouts.yaml",
    "crds/core.kubefed.io_federatedtypeconfigs.yaml",
    "crds/core.kubefed.io_kubefedclusters.yaml",
    "crds/core.kubefed.io_kubefedconfigs.yaml",
    "crds/scheduling.kubefed.io_replicaschedulingpreferences.yaml",
)
"""The API's own types; these templates need no values."""
KUBEFEDS_CRDS = (
    "crds/core.kubefed.io_clusterpropagatedversions.yaml",
    "crds/core.kubefed.io_propagatedversions.yaml",
)
"""Types that KubeFed wrote for itself: served for its tools and backups, and nothing else."""
HUB_WORK_CRDS = ("work/work.open-cluster-management.io_manifestworks.yaml",)
MEMBER_WORK_CRDS = ("work/work.open-cluster-management.io_appliedmanifestworks.yaml",)
"""Open Cluster Management's types: what a hub with pull clusters serves, and what a member with an agent does."""


def render(name: str, /, overlay: str = "", **values: Any) -> str:
    """The text of template `name` (`host/rbac.yaml`) with `values` filled in.

    Templates in the folder `overlay` ("" = none) are used first, so that a user can replace one of them. Raises
    jinja2.TemplateNotFound for an unknown name and jinja2.UndefinedError for a missing value: both are bugs in the
    calling code, unless the template is the user's own.
    """
    return _environment(overlay).get_template(name).render(**values)


def documents(name: str, /, overlay: str = "", **values: Any) -> list[Document]:
    """The YAML documents of `render(name, **values)`, empty ones left out."""
    return load(render(name, overlay, **values))


def load(text: str) -> list[Document]:
    """The YAML documents of a text rendered from here, empty ones left out."""
    return [document.value for document in reading.documents(text) if document.value]


def core_crds() -> list[Document]:
    """The CustomResourceDefinitions of core.kubefed.io and scheduling.kubefed.io."""
    return [document for name in CORE_CRDS for document in documents(name)]


def kubefeds_crds() -> list[Document]:
    """The CustomResourceDefinitions of types that only KubeFed used."""
    return [document for name in KUBEFEDS_CRDS for document in documents(name)]


def work_crds(*, hub: bool) -> list[Document]:
    """The CustomResourceDefinition of ManifestWork, for a hub; else that of AppliedManifestWork, for a member."""
    return [document for name in (HUB_WORK_CRDS if hub else MEMBER_WORK_CRDS) for document in documents(name)]


def names() -> list[str]:
    """Every template, as `render` names it, sorted."""
    return sorted(_walk(_folder(), ""))


def _folder() -> Traversable:
    """The templates: installed beside this module, or in the checkout that it is used from."""
    installed = resources.files(__package__) / "_templates"
    return installed if installed.is_dir() else Path(__file__).parent.parent / "templates"


def _walk(folder: Traversable, prefix: str) -> list[str]:
    found = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _walk(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(".yaml"):
            found.append(prefix + entry.name)
    return found


@functools.cache
def _environment(overlay: str = "") -> "jinja2.Environment":
    import jinja2  # noqa: PLC0415 (fedctl --help must not pay for it)

    own = jinja2.FunctionLoader(_source)
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.FileSystemLoader(overlay), own]) if overlay else own,
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 (YAML, not HTML: values go through `quote` or `block`)
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals.clear()  # Jinja2's own `namespace` would be used instead of a value that is missing
    environment.filters["quote"] = quote
    environment.filters["block"] = block
    return environment


def _source(name: str) -> tuple[str, str, Callable[[], bool]] | None:
    file = _folder()
    for part in name.split("/"):
        file = file / part
    try:
        return file.read_text(encoding="utf-8"), name, lambda: True
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return None


def quote(value: object) -> str:
    """`value` as a YAML double-quoted string, so that a cluster named `on` or `0123` stays a string."""
    text = json.dumps(str(value), ensure_ascii=False)
    return "".join(char if char.isprintable() else f"\\U{ord(char):08x}" for char in text)


def block(value: Mapping[str, Any] | list[Any] | str, indent: int) -> str:
    """`value` as block YAML indented by `indent` spaces: for values that are whole structures (RBAC rules).

    Text is not changed: the chart passes Helm's expressions for such a value.
    """
    if isinstance(value, str):
        return value
    if not value:  # this test also raises UndefinedError for a missing value
        return " " * indent + ("[]" if isinstance(value, list) else "{}")
    text = writing.dump([value], width=2**20)
    pad = " " * indent
    return "".join(pad + line for line in text.splitlines(keepends=True)).rstrip("\n")
