"""The core of typegen: make the federated CRD and FederatedTypeConfig of a target type. Pure, offline, repeatable.

A CRD becomes a target by definitions.target, an OpenAPI document by openapi.target. Then, here: names; schema.template
of every served version, merged by versions; columns; remotestatus; and the manifest templates/types/federated.yaml.
`typegen write` prints the result, `fedctl enable` applies it.
"""

from collections.abc import Mapping
from typing import Any

from typegen import (
    columns,
    definitions,
    descriptions,
    frames,
    names,
    openapi,
    remotestatus,
    rules,
    schema,
    userroles,
    versions,
)
from typegen.model import ApiResource, Caution, Generated, Options, Schema, Target, Template, Unusable


def from_crd(crd: Mapping[str, Any], options: Options | None = None) -> Generated:
    """The federated type for a custom resource. Raises model.Unusable when `crd` cannot be federated."""
    options = options or Options()
    return generate(definitions.target(crd, options), options)


def from_openapi(document: Mapping[str, Any], resource: ApiResource, options: Options | None = None) -> Generated:
    """The federated type for a built-in type, from an API server's /openapi/v3/... document of its group version.

    `resource` is the type: from discovery.resources, which has short names, else from openapi.resources.
    """
    return generate(openapi.target(document, resource), options or Options())


def generate(target: Target, options: Options) -> Generated:
    """The federated type for `target`."""
    federated = names.federated(target.resource, options)
    made = _template(target, options)
    shown = columns.carry(target, made.schema)
    crd, type_config = _frame(
        options.templates,
        list_kind=names.list_kind(federated),
        target=target.resource,
        federated=federated,
        columns=shown.columns,
        selectable=shown.selectable,
        scale_path=target.resource.scale,
        retains_replicas=schema.has_replicas(target),
        template_optional=target.resource.is_namespace,
        equivalent=target.equivalent,
        system_namespace=options.system_namespace,
        aggregate_to="" if options.aggregate_to is None else userroles.record(options.aggregate_to),
    )
    root = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    if made.root_rules:
        root["x-kubernetes-validations"] = [*root.get("x-kubernetes-validations", ()), *made.root_rules]
    named, unnamed = schema.name(target)
    if named:
        root["properties"]["metadata"] = {"type": "object", "properties": {"name": named}}
    if target.status:
        _describe_status(root, remotestatus.loosened(target.status))
    room = descriptions.ROOM - descriptions.size(crd)
    template, chosen = descriptions.choose(made.schema, room, options.descriptions)
    found = [Caution(f"spec.template{_below(caution.path)}", caution.message) for caution in made.cautions]
    root["properties"]["spec"]["properties"]["template"] = template
    rules.drop_dangling_paths(root)
    found += [*unnamed, *shown.cautions, *_remarks(crd, chosen, options)]
    optional = _optional(target, options)
    return Generated(target.resource, federated, crd, type_config, tuple(found), options.aggregate_to, optional)


def _optional(target: Target, options: Options) -> frozenset[str]:
    """Those of the options' optional fields that the target has, in any version."""
    if not options.optional:
        return frozenset()
    known = {"*"}.union(*map(schema.fields, (target.schema, *target.others.values())))
    return frozenset(known.intersection(options.optional))


def _template(target: Target, options: Options) -> Template:
    own = schema.template(target, options)
    if not target.others:
        return own
    others = {
        version: schema.template(Target(target.resource, other), options) for version, other in target.others.items()
    }
    return versions.merge(target.resource, {target.resource.version: own, **others})


def _describe_status(root: dict[str, Any], status: Schema) -> None:
    """Put the target's status into the CRD, if its template, which may be a user's own, has remoteStatus."""
    node: Any = root["properties"].get("status") or {}
    for step in ("properties", "clusters", "items", "properties", "remoteStatus"):
        node = node.get(step) or {}
    if node:
        node.update(status)


def _frame(overlay: str, **values: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    found = {each["kind"]: each for each in frames.documents("types/federated.yaml", overlay, **values)}
    try:
        crd, type_config = found["CustomResourceDefinition"], found["FederatedTypeConfig"]
        crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"].get("template")
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise Unusable(
            f"{overlay}/types/federated.yaml: expected a CustomResourceDefinition with a schema for spec and a "
            "FederatedTypeConfig, as in typegen's own"
        ) from error
    return crd, type_config


def _below(path: str) -> str:
    return "" if path in ("", ".") else path if path.startswith((".", "[", "{")) else f".{path}"


def _remarks(crd: Mapping[str, Any], chosen: str, options: Options) -> list[Caution]:
    remarks = []
    if options.descriptions == "auto" and chosen != "keep":
        done = "cut to a sentence each" if chosen == "short" else "left out"
        remarks.append(Caution("spec.template", f"descriptions are {done}, so that kubectl apply can store the CRD"))
    total = descriptions.size(crd)
    if total > descriptions.ANNOTATION_LIMIT:
        remarks.append(
            Caution(".", f"the CRD measures {total} bytes, too many for kubectl apply: use kubectl apply --server-side")
        )
    return remarks
