"""Read a ManifestWork leniently: what is wrong with one manifest, or with the options of one object, hurts that alone.

Only what concerns the work as a whole (its executor, what becomes of its objects) is a problem of all of it: without
knowing it, nothing may be applied in somebody's name.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from federation.core import builtin, checks, jsonpath, manifest, nesting, overrides
from federation.model import bounds
from federation.model.errors import Invalid
from federation.model.works import (
    FIELD_MANAGER,
    Account,
    ConditionRule,
    Config,
    Configs,
    Feedback,
    FeedbackPath,
    Identifier,
    Manifest,
    Propagation,
    Strategy,
    StrategyType,
    Work,
)
from federation.work import pointers

MOST_MANIFESTS = 5_000
"""Of one work, which is at most 1.5 MiB."""
LONGEST_MANAGER = 128
"""Characters of a field manager, by Kubernetes' own validation."""
IGNORE_FIELD_ERROR = "AppliedManifestSSAIgnoreFieldError"
"""The reason of a manifest whose ignoreFields cannot be used."""
_SERVER_SET = frozenset(
    {
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "managedFields",
        "selfLink",
        "ownerReferences",
    }
)
"""What is left out of a manifest. Owner references name uids of the hub, which garbage collection would not find."""

Json = Mapping[str, Any]


def read(name: str, raw: bytes, *, uid: str = "", generation: int = 0, created: str = "") -> Work:
    """The work of this name and spec. Never raises: what is wrong is said in it."""
    try:
        spec = orjson.loads(raw) if raw else {}
    except orjson.JSONDecodeError:
        return Work(name, uid, generation, created, problem="spec: cannot be read", unsure=True)
    if not isinstance(spec, dict):
        return Work(name, uid, generation, created, problem="spec: must be a map", unsure=True)
    try:
        propagation, orphans, ttl = _delete_option(spec.get("deleteOption"))
    except Invalid as error:
        return Work(name, uid, generation, created, problem=str(error), unsure=True)
    try:
        executor = _executor(spec.get("executor"))
        workload = checks.mapping(spec.get("workload"), "spec.workload")
        items = checks.sequence(workload.get("manifests"), "spec.workload.manifests")
        checks.at_most(items, MOST_MANIFESTS, "spec.workload.manifests")
        configs = _configs(checks.sequence(spec.get("manifestConfigs"), "spec.manifestConfigs"))
    except Invalid as error:
        return Work(
            name,
            uid,
            generation,
            created,
            propagation=propagation,
            orphans=orphans,
            ttl=ttl,
            problem=str(error),
        )
    manifests = tuple(_manifest(index, item) for index, item in enumerate(items))
    return Work(name, uid, generation, created, manifests, configs, executor, propagation, orphans, ttl)


def _manifest(ordinal: int, item: object) -> Manifest:
    try:
        return _read_manifest(ordinal, item)
    except Invalid as error:
        found = item if isinstance(item, dict) else {}
        metadata = found.get("metadata")
        metadata = metadata if isinstance(metadata, dict) else {}
        group, _, version = _text(found.get("apiVersion")).rpartition("/")
        return Manifest(
            ordinal,
            group,
            version,
            _text(found.get("kind")),
            _text(metadata.get("namespace")),
            _text(metadata.get("name")),
            problem=str(error),
        )


def _read_manifest(ordinal: int, item: object) -> Manifest:
    field = f"manifests[{ordinal}]"
    body = dict(checks.mapping(item, field))
    api_version = checks.string(body.get("apiVersion"), f"{field}.apiVersion")
    kind = checks.string(body.get("kind"), f"{field}.kind")
    metadata = dict(checks.mapping(body.get("metadata"), f"{field}.metadata"))
    name = checks.string(metadata.get("name"), f"{field}.metadata.name")
    namespace = metadata.get("namespace")
    if namespace is not None and not isinstance(namespace, str):
        raise Invalid(f"{field}.metadata.namespace", f"must be a string, not {checks.describe(namespace)}")
    if len(name) > bounds.LONGEST_NAME or len(namespace or "") > bounds.LONGEST_NAME:
        raise Invalid(f"{field}.metadata", f"has a name longer than {bounds.LONGEST_NAME} characters")
    if nesting.deep(body, bounds.DEEPEST):
        raise Invalid(field, f"nests deeper than {bounds.DEEPEST} levels")
    group, _, version = api_version.rpartition("/")
    if not checks.is_version(version) or (group and not checks.is_dns_1123(group)):
        raise Invalid(f"{field}.apiVersion", f"{checks.quote(api_version)} is none")
    body.pop("status", None)
    if builtin.has(group):
        body = builtin.without_nulls(body)
    for key in ("labels", "annotations"):
        _string_map(metadata, key, field)
    if (group, kind) == ("", "Secret") and "stringData" in body:
        manifest.fold_string_data(body)
    body["metadata"] = {key: value for key, value in metadata.items() if key not in _SERVER_SET and value is not None}
    content, digest = manifest.digest(body)
    return Manifest(ordinal, group, version, kind, namespace or "", name, content, digest)


def _string_map(metadata: Json, key: str, field: str) -> None:
    for name, value in checks.mapping(metadata.get(key), f"{field}.metadata.{key}").items():
        if not isinstance(value, str):
            where = f"{field}.metadata.{key}.{checks.quote(name)}"
            raise Invalid(where, f"must be a string, not {checks.describe(value)}")


def _delete_option(value: object) -> tuple[Propagation, frozenset[Identifier], int | None]:
    field = "spec.deleteOption"
    option = checks.mapping(value, field)
    policy = checks.choice(
        option.get("propagationPolicy"), f"{field}.propagationPolicy", tuple(Propagation), default="Foreground"
    )
    chosen = checks.mapping(option.get("selectivelyOrphans"), f"{field}.selectivelyOrphans")
    where = f"{field}.selectivelyOrphans.orphaningRules"
    rules = checks.sequence(chosen.get("orphaningRules"), where)
    ttl = option.get("ttlSecondsAfterFinished")
    if ttl is not None and (not isinstance(ttl, int) or isinstance(ttl, bool)):
        raise Invalid(f"{field}.ttlSecondsAfterFinished", f"must be a whole number, not {checks.describe(ttl)}")
    orphans = frozenset(_identifier(rule, f"{where}[{index}]") for index, rule in enumerate(rules))
    return Propagation(policy), orphans, ttl


def _executor(value: object) -> Account | None:
    if value is None:
        return None
    field = "spec.executor.subject"
    subject = checks.mapping(checks.mapping(value, "spec.executor").get("subject"), field)
    checks.choice(subject.get("type"), f"{field}.type", ("ServiceAccount",))
    account = checks.mapping(subject.get("serviceAccount"), f"{field}.serviceAccount")
    namespace = checks.string(account.get("namespace"), f"{field}.serviceAccount.namespace")
    return Account(namespace, checks.string(account.get("name"), f"{field}.serviceAccount.name"))


def _identifier(value: object, field: str) -> Identifier:
    found = checks.mapping(value, field)
    return Identifier(
        _optional(found.get("group"), f"{field}.group"),
        checks.string(found.get("resource"), f"{field}.resource"),
        _optional(found.get("namespace"), f"{field}.namespace"),
        checks.string(found.get("name"), f"{field}.name"),
    )


def _optional(value: object, field: str) -> str:
    return "" if value is None or value == "" else checks.string(value, field)


def _configs(items: Any) -> Configs:
    found = []
    for index, item in enumerate(items):
        field = f"spec.manifestConfigs[{index}]"
        entry = checks.mapping(item, field)
        what = _identifier(entry.get("resourceIdentifier"), f"{field}.resourceIdentifier")
        try:
            found.append(_config(what, entry, field))
        except Invalid as error:
            reason = IGNORE_FIELD_ERROR if ".ignoreFields" in error.field else ""
            found.append(Config(what, problem=str(error), reason=reason))
    return Configs(found)


def _config(what: Identifier, entry: Json, field: str) -> Config:
    well_known, paths = False, []
    for index, item in enumerate(checks.sequence(entry.get("feedbackRules"), f"{field}.feedbackRules")):
        where = f"{field}.feedbackRules[{index}]"
        rule = checks.mapping(item, where)
        try:
            kind = checks.choice(rule.get("type"), f"{where}.type", ("WellKnownStatus", "JSONPaths"))
        except Invalid as error:  # of a newer API, perhaps
            paths.append(FeedbackPath(f"feedbackRules[{index}]", None, problem=str(error)))
            continue
        if kind == "WellKnownStatus":
            well_known = True
            continue
        for place, each in enumerate(checks.sequence(rule.get("jsonPaths"), f"{where}.jsonPaths")):
            at = f"{where}.jsonPaths[{place}]"
            paths.append(_feedback_path(checks.mapping(each, at), at))
    rules = tuple(
        _condition_rule(item, f"{field}.conditionRules[{index}]")
        for index, item in enumerate(checks.sequence(entry.get("conditionRules"), f"{field}.conditionRules"))
    )
    strategy = entry.get("updateStrategy")
    return Config(
        what,
        _strategy(strategy, f"{field}.updateStrategy") if strategy is not None else None,
        Feedback(well_known, tuple(paths)),
        rules,
    )


def _feedback_path(entry: Json, field: str) -> FeedbackPath:
    name = checks.string(entry.get("name"), f"{field}.name")
    text = checks.string(entry.get("path"), f"{field}.path")
    version = _optional(entry.get("version"), f"{field}.version")
    try:
        # Paths are below the object; OCM takes them with and without the dot that they begin with.
        path = jsonpath.parse(text if text.startswith((".", "{", "$", "[")) else f".{text}", f"{field}.path")
    except Invalid as error:
        return FeedbackPath(name, None, version, str(error))
    return FeedbackPath(name, path, version)


def _condition_rule(item: object, field: str) -> ConditionRule:
    rule = checks.mapping(item, field)
    # WellKnownCompletions is the name that OCM's API had for it at first.
    kinds = ("WellKnownConditions", "WellKnownCompletions", "CEL")
    try:
        well_known = checks.choice(rule.get("type"), f"{field}.type", kinds) != "CEL"
    except Invalid as error:  # of a newer API, perhaps
        return ConditionRule(checks.string(rule.get("condition"), f"{field}.condition"), problem=str(error))
    expressions = []
    for index, each in enumerate(checks.sequence(rule.get("celExpressions"), f"{field}.celExpressions")):
        text = each.get("expression") if isinstance(each, dict) else each
        expressions.append(checks.string(text, f"{field}.celExpressions[{index}]"))
    condition = _optional(rule.get("condition"), f"{field}.condition") or ("Complete" if well_known else "")
    return ConditionRule(
        checks.string(condition, f"{field}.condition"),
        well_known,
        tuple(expressions),
        _optional(rule.get("message"), f"{field}.message"),
        _optional(rule.get("messageExpression"), f"{field}.messageExpression"),
    )


def _strategy(value: object, field: str) -> Strategy:
    found = checks.mapping(value, field)
    kind = StrategyType(checks.choice(found.get("type"), f"{field}.type", tuple(StrategyType), default="Update"))
    if kind is not StrategyType.SERVER_SIDE_APPLY:
        return Strategy(kind)
    where = f"{field}.serverSideApply"
    settings = checks.mapping(found.get("serverSideApply"), where)
    manager = _optional(settings.get("fieldManager"), f"{where}.fieldManager") or FIELD_MANAGER
    if not manager.startswith(FIELD_MANAGER) or len(manager) > LONGEST_MANAGER or not manager.isprintable():
        raise Invalid(f"{where}.fieldManager", f"must begin with {FIELD_MANAGER} and be at most {LONGEST_MANAGER} long")
    present: list[tuple[str, ...]] = []
    changed: list[tuple[str, ...]] = []
    for index, item in enumerate(checks.sequence(settings.get("ignoreFields"), f"{where}.ignoreFields")):
        at = f"{where}.ignoreFields[{index}]"
        entry = checks.mapping(item, at)
        when = checks.choice(
            entry.get("condition"), f"{at}.condition", ("OnSpokePresent", "OnSpokeChange"), default="OnSpokePresent"
        )
        (present if when == "OnSpokePresent" else changed).extend(_ignored(entry, at))
    force = checks.boolean(settings.get("force"), f"{where}.force", default=False)
    return Strategy(kind, manager, force, tuple(present), tuple(changed))


def _ignored(entry: Json, field: str) -> list[tuple[str, ...]]:
    found = []
    for key, read_one in (
        ("jsonPaths", pointers.of_path),
        ("jqPathExpressions", pointers.of_path),
        ("jsonPointers", lambda text, _: tuple(overrides.tokens(text))),
    ):
        for index, each in enumerate(checks.sequence(entry.get(key), f"{field}.{key}")):
            where = f"{field}.{key}[{index}]"
            pointer = read_one(checks.string(each, where), where)
            if not pointer:
                raise Invalid(where, "names the whole object")
            found.append(pointer)
    return found


def _text(value: object) -> str:
    return value[: bounds.LONGEST_NAME] if isinstance(value, str) else ""
