"""`fedctl federate KIND NAME`: read plain objects from the host, and create or print their federated objects."""

from collections.abc import Mapping, Sequence
from typing import Any

from federation.cli import failing, options, rolling
from federation.federating import catalogue, wrapping
from federation.federating.wishes import Wish
from federation.joining import applying, contents, discovery, enabling, fleet, kinds, lookups
from federation.joining.applying import Outcome
from federation.joining.contexts import Contexts
from federation.joining.errors import NotInstalled, Refused
from federation.kube.connection import Connection
from federation.model.errors import ApiFailure, Invalid
from federation.model.federated import FederatedType
from federation.model.resources import ObjectName, Resource
from typegen.model import ApiResource

Document = Mapping[str, Any]


class Run:
    """One run of the verb. `code` is its exit code when `federate` has ended: 3 when something was left out."""

    def __init__(
        self,
        contexts: Contexts,
        host: Connection,
        namespace: str,
        wish: Wish,
        *,
        enable: bool,
        print_only: bool,
        dry_run: str,
    ) -> None:
        self.code = 0
        self._contexts = contexts
        self._host = host
        self._namespace = namespace
        self._wish = wish
        self._enable = enable
        self._print_only = print_only
        self._dry_run = dry_run
        self._types: dict[str, FederatedType] = {}
        self._made: list[Document] = []

    async def federate(
        self, kind: str, name: str, namespace: str, *, contents: bool, skip: Sequence[str]
    ) -> list[Document]:
        """Federate one object, with `contents` a namespace and everything in it; returns what was made, for -o.

        Raises Refused when the type is not enabled or, without `contents`, when the federated object exists already.
        """
        served = await discovery.read(self._host)
        aliases = kinds.aliases(served.all)
        types = await self._known()
        self._types = {each.name: each for each in types}
        chosen = await self._type(served, types, kind)
        if contents and not chosen.is_namespace:
            raise Refused(f"--contents is for namespaces only, not for {chosen.name}")
        for word in unknown(served, aliases, skip):
            options.report(f"warning: --skip-api-resources: the host serves no type or API group named {word!r}")
        candidates = contents_of(served, aliases, skip, types) if contents else []
        await self._one(chosen, "" if chosen.is_namespace else namespace, name, again=contents)
        await self._all(candidates, name, assume=not types)
        return self._made

    async def _known(self) -> Sequence[FederatedType]:
        """The host's federated types. Printing needs none: with -o a host without the federation API is no error."""
        try:
            known = await fleet.read(self._host, self._namespace)
        except (NotInstalled, ApiFailure) as error:
            if not self._print_only:
                raise
            options.report(f"note: {error}; KubeFed's names are assumed for the federated types")
            return ()
        for problem in known.problems:
            options.report(f"warning: {problem}")
        return known.types

    async def _type(self, served: discovery.Served, types: Sequence[FederatedType], kind: str) -> FederatedType:
        try:
            return kinds.resolve(types, kinds.aliases(served.all), kind)
        except Refused as error:
            try:
                wanted = discovery.choose(served, kind)
            except Refused:
                raise error from None  # no such type: the first error names a similar one
            if self._print_only and not self._enable:
                return self._assumed(wanted)
            if not self._enable:
                hint = f"add --enable-type, or first run: fedctl enable {wanted.qualified}"
                raise Refused(f"{wanted.qualified} is not an enabled type", hint) from None
        return await self._switch_on(wanted.qualified)

    def _assumed(self, wanted: ApiResource) -> FederatedType:
        """The type as `enable` would call it, for an object that is only printed."""
        options.report(f"note: {wanted.qualified} is not an enabled type: before you apply it, fedctl enable it")
        return catalogue.assumed(contents.resource(wanted))

    async def _switch_on(self, kind: str) -> FederatedType:
        requests = [enabling.Request(kind)]
        if self._print_only or self._dry_run == "client":
            (made,) = await enabling.generate(self._host, self._namespace, requests)
            if self._print_only:
                self._made += enabling.manifests(made)
            else:
                options.report(f"{self._host.name}: {made.target.qualified} would be enabled (dry run)")
            return catalogue.type_of(made.type_config)
        if self._dry_run:
            done = await enabling.rehearse(self._contexts, self._host, self._namespace, requests, options.report)
        else:
            done = await enabling.enable(self._contexts, self._host, self._namespace, requests, options.report)
        self.code = max(self.code, rolling.report(done.members))
        return catalogue.type_of(done.types[0].type_config)

    async def _all(self, candidates: Sequence[Resource], namespace: str, *, assume: bool) -> None:
        for resource in candidates:
            held = await contents.held(self._host, resource, namespace)
            for name, why in held.left_out:
                options.report(f"note: {resource.kind.lower()} {namespace}/{name} is left out: {why}")
            if not held.objects:
                continue
            type_ = self._types.get(resource.qualified)
            if type_ is None and self._enable:
                type_ = await self._switch_on(resource.qualified)
            if type_ is None and self._print_only and assume:
                type_ = catalogue.assumed(resource)
            if type_ is None:
                self.code = failing.PARTIAL
                options.report(
                    f"warning: {len(held.objects)} {resource.qualified} are left out: the type is not enabled; "
                    "enable it with --enable-type, or skip it with --skip-api-resources"
                )
                continue
            for found in held.objects:
                try:
                    await self._make(found, type_, again=True)
                except Invalid as error:
                    if error.field.startswith("override"):
                        raise
                    self.code = failing.PARTIAL  # such as a RoleBinding system:x, a name that no custom resource has
                    options.report(f"warning: {catalogue.title(found)} is left out: {error}")

    async def _one(self, type_: FederatedType, namespace: str, name: str, *, again: bool) -> None:
        found = await lookups.one(self._host, type_.target, namespace, name)
        await self._make({"apiVersion": type_.target.api_version, "kind": type_.target.kind, **found}, type_, again)

    async def _make(self, found: Document, type_: FederatedType, again: bool) -> None:
        wrapped = wrapping.wrap(found, type_, self._wish)
        document = wrapped.document
        for remark in wrapped.remarks:
            options.report(f"warning: {catalogue.title(found)}: {remark}")
        self._made.append(document)
        if self._print_only:
            return
        where = ObjectName(document["metadata"].get("namespace", ""), document["metadata"]["name"])
        label = applying.label(type_.federated, where)
        if self._dry_run == "client" or (self._dry_run and type_.name not in self._types):
            options.report(f"{self._host.name}: {label} (dry run)")
            return
        outcome = await contents.create(self._host, type_.federated, document, dry_run=bool(self._dry_run))
        if outcome is Outcome.UNCHANGED:
            if not again:
                raise Refused(
                    f"{self._host.name}: {label} exists already and was left as it is",
                    "to replace it: the same command with -o yaml | kubectl apply --server-side -f -",
                )
            options.report(f"{self._host.name}: {label} exists already, left as it is")
            return
        options.report(f"{self._host.name}: {label} {outcome}{' (dry run)' if self._dry_run else ''}")


def contents_of(
    served: discovery.Served, aliases: kinds.Aliases, skip: Sequence[str], types: Sequence[FederatedType]
) -> list[Resource]:
    """The types whose objects `--contents` federates: without federated types themselves."""
    federated = {each.federated.qualified for each in types}
    return [each for each in contents.candidates(served, aliases, skip) if each.qualified not in federated]


def unknown(served: discovery.Served, aliases: kinds.Aliases, skip: Sequence[str]) -> list[str]:
    """The words of --skip-api-resources that name no type and no group; kubefedctl ignores them without a message."""
    everything = [contents.resource(each) for each in served.all]
    return [word for word in skip if not any(contents.is_named(each, {word.lower()}, aliases) for each in everything)]
