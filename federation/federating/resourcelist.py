"""The KRM function: a ResourceList in, a ResourceList out, as kustomize, kpt and Flux run functions.

https://github.com/kubernetes-sigs/kustomize/blob/master/cmd/config/docs/api-conventions/functions-spec.md. Pure;
`cli.krm` does the I/O. Errors become `results`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from federation.core import checks, selectors
from federation.federating import catalogue, rendering, wishes
from federation.federating.catalogue import Catalogue
from federation.federating.wishes import Wish
from federation.model.errors import Invalid
from federation.model.federated import FederatedType

API_VERSION = "config.kubernetes.io/v1"
CONFIG_VERSION, CONFIG_KIND = "fn.kubefed.io/v1", "Federate"
_VERSIONS = (API_VERSION, "config.kubernetes.io/v1beta1", "config.kubernetes.io/v1alpha1")
_FIELDS: Final = ("types", "select", "placement", "overrides", "unknown")
_SELECT: Final = ("kinds", "names", "namespaces", "labelSelector")
_PATH = "config.kubernetes.io/path"
_INDEX = "config.kubernetes.io/index"

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Select:
    """Which of the items are federated in this run; an empty field selects all."""

    kinds: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    labels: Mapping[str, Any] = field(default_factory=dict)

    def takes(self, item: Mapping[str, Any]) -> bool:
        """Whether an item is selected."""
        _, kind, namespace, name = rendering.key(item)
        if kind == "Namespace":
            namespace = name
        labels = rendering.entries(item, "labels")
        return (
            (not self.kinds or kind in self.kinds)
            and (not self.names or name in self.names)
            and (not self.namespaces or namespace in self.namespaces)
            and selectors.matches(self.labels, labels)
        )


@dataclass(frozen=True, slots=True)
class Config:
    """functionConfig.spec, checked."""

    types: tuple[FederatedType, ...] = ()
    select: Select = Select()
    wish: Wish = field(default_factory=Wish)
    refuse_unknown: bool = False


def run(document: object) -> tuple[Body, bool]:
    """The ResourceList to print, and whether all went well; if not, its items are those of the input.

    Raises Invalid when the document is not a ResourceList.
    """
    body = dict(checks.mapping(document, ""))
    if body.get("kind") != "ResourceList" or body.get("apiVersion") not in _VERSIONS:
        raise Invalid("", f"expected a ResourceList of {API_VERSION} on standard input")
    items = [
        checks.mapping(item, f"items[{at}]") for at, item in enumerate(checks.sequence(body.get("items"), "items"))
    ]
    try:
        config = configuration(body.get("functionConfig"))
        known = Catalogue.of((*config.types, *_types(items)))
        if not known:
            raise Invalid(
                "spec.types",
                "no types: name them here, or list their files (FederatedTypeConfigs) as resources",
            )
    except Invalid as error:
        return {**body, "results": [{"message": f"functionConfig: {error}", "severity": "error"}]}, False
    made, results = _items(items, config, known)
    failed = any(result["severity"] == "error" for result in results)
    answer: Body = {**body, "items": items if failed else made}
    answer.pop("results", None)
    return {**answer, **({"results": results} if results else {})}, not failed


def configuration(document: object) -> Config:
    """The checked functionConfig. Raises Invalid with the path of what is wrong; a missing one is an empty one."""
    config = checks.mapping(document, "functionConfig")
    if config and config.get("kind") not in (None, CONFIG_KIND):
        raise Invalid("kind", f"must be {CONFIG_KIND} ({CONFIG_VERSION})")
    spec = checks.mapping(config.get("spec"), "spec")
    _only(spec, _FIELDS, "spec")
    placement = checks.mapping(spec.get("placement"), "spec.placement")
    _only(placement, ("clusters", "clusterSelector"), "spec.placement")
    named = placement.get("clusters")
    selector = placement.get("clusterSelector")
    if selector is not None:
        selectors.check(selector, "spec.placement.clusterSelector")
    changes = wishes.of_overrides(spec.get("overrides"), "spec.overrides")
    return Config(
        types=tuple(_named_types(spec.get("types"))),
        select=_select(spec.get("select")),
        wish=Wish(None if named is None else _clusters(named), selector, changes),
        refuse_unknown=checks.choice(spec.get("unknown"), "spec.unknown", ("keep", "refuse"), default="keep")
        == "refuse",
    )


def _items(items: list[Mapping[str, Any]], config: Config, known: Catalogue) -> tuple[list[Any], list[Body]]:
    made: list[Any] = []
    results: list[Body] = []
    taken = {rendering.key(item) for item in items}
    for item in items:
        if not config.select.takes(item):
            made.append(item)
            continue
        try:
            done = rendering.one(item, known, config.wish)
            rendering.refuse_twice(done, taken)
        except Invalid as error:
            results.append(_result(item, "error", str(error), error.field))
            continue
        if done.unknown and config.refuse_unknown:
            results.append(_result(item, "error", "its type is not federated: add it to spec.types, or select less"))
        results += [_result(item, "warning", remark) for remark in done.remarks]
        made += done.documents
    return made, results


def _result(item: Mapping[str, Any], severity: str, message: str, path: str = "") -> Body:
    _, kind, namespace, name = rendering.key(item)
    result: Body = {
        "message": f"{catalogue.title(item)}: {message}",
        "severity": severity,
        "resourceRef": {"apiVersion": str(item.get("apiVersion")), "kind": kind, "name": name}
        | ({"namespace": namespace} if namespace else {}),
    }
    if path:
        result["field"] = {"path": path}
    annotations = rendering.entries(item, "annotations")
    if _PATH in annotations:
        index = str(annotations.get(_INDEX, "0"))
        result["file"] = {"path": annotations[_PATH], "index": int(index) if index.isdigit() else 0}
    return result


def _types(items: Iterable[Mapping[str, Any]]) -> Iterable[FederatedType]:
    for item in items:
        if catalogue.is_type(item):
            try:
                yield catalogue.type_of(item)
            except Invalid as error:
                raise Invalid(catalogue.title(item), str(error)) from None


def _named_types(value: object) -> Iterable[FederatedType]:
    """FederatedTypeConfigs, or only apiVersion and kind for types with KubeFed's names."""
    for at, item in enumerate(checks.sequence(value, "spec.types")):
        where = f"spec.types[{at}]"
        body = checks.mapping(item, where)
        try:
            yield catalogue.type_of(body) if catalogue.is_type(body) else catalogue.default_type(body)
        except Invalid as error:
            raise Invalid(f"{where}.{error.field}" if error.field else where, error.message) from None


def _select(value: object) -> Select:
    body = checks.mapping(value, "spec.select")
    _only(body, _SELECT, "spec.select")
    labels = checks.mapping(body.get("labelSelector"), "spec.select.labelSelector")
    selectors.check(labels, "spec.select.labelSelector")
    words = {
        name: tuple(
            checks.string(word, f"spec.select.{name}[{at}]")
            for at, word in enumerate(checks.sequence(body.get(name), f"spec.select.{name}"))
        )
        for name in ("kinds", "names", "namespaces")
    }
    return Select(words["kinds"], words["names"], words["namespaces"], labels)


def _clusters(value: object) -> tuple[str, ...]:
    """Names, or KubeFed's maps with a name."""
    found = []
    for at, item in enumerate(checks.sequence(value, "spec.placement.clusters")):
        where = f"spec.placement.clusters[{at}]"
        found.append(checks.string(item.get("name") if isinstance(item, dict) else item, where))
    return tuple(found)


def _only(body: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for name in body:
        if name not in known:
            raise Invalid(f"{where}.{name}", f"is not known; known: {', '.join(known)}")
