"""`fedctl migrate`: take over a running KubeFed installation in place, step by step."""

from typing import TYPE_CHECKING

import click

from federation.cli import options
from federation.cli.options import Host
from federation.cli.verbs import State, Verb

if TYPE_CHECKING:
    from federation.joining.reaching import Reach
    from federation.migrating.facts import Facts
    from federation.migrating.members import Visit

EXAMPLES = """
  fedctl migrate                        # what is there, what speaks against it, which steps are left
  fedctl migrate --stop                 # KubeFed's Deployments to 0, its webhooks away, all of it recorded
  fedctl migrate --upgrade              # CRDs and types; then start the controller
  fedctl migrate --verify               # no member's object was recreated, and what has changed
  fedctl migrate --undo                 # KubeFed runs again as before
"""
DONE, TODO, REFUSED = 0, 1, 3
_ORDER = ("stop", "upgrade", "remove", "narrow", "verify", "finish")


@click.command("migrate", cls=Verb, examples=EXAMPLES)
@options.switch("--stop", text="Record and stop KubeFed: its Deployments and its webhook configurations.")
@options.switch("--upgrade", text="Bring CRDs and enabled types up to date, as init and enable do.")
@options.switch("--remove-versions", text="Delete PropagatedVersions and ClusterPropagatedVersions.")
@options.switch("--narrow", text="Narrow members' rights to the enabled types, with tokens that end.")
@options.switch("--verify", text="Compare members' objects with what they were when KubeFed stopped.")
@options.switch("--finish", text="Delete what is left of KubeFed, and the record. There is no --undo after it.")
@options.switch("--undo", text="Restore Deployments, webhook configurations and members' rights from the record.")
@options.switch("--despite-checks", text="Stop KubeFed though a check has failed.")
@options.switch(
    "--stored-credentials", text="Read members as the controller, with what the host has stored, not as you."
)
@options.timeout(default="60s", text="How long KubeFed's Pods may take to end, and CRDs to be served")
@options.host
@options.output("json", "yaml")
def command(
    *,
    stop: bool,
    upgrade: bool,
    remove_versions: bool,
    narrow: bool,
    verify: bool,
    finish: bool,
    undo: bool,
    despite_checks: bool,
    stored_credentials: bool,
    timeout: float,
    host: Host,
    output: str | None,
) -> int:
    """Take over a running KubeFed installation in place, in steps; no member's object is recreated.

    Without a flag nothing is written: what was found is checked, and the steps that are left are shown. Exit code 0:
    all that must be done is done, 1: there is something to do, 2: it cannot be read, 3: a check has failed.

    With flags those steps are done, in the order above; each may be broken off and run again. What KubeFed had is
    recorded before it is touched, in ConfigMap kubefed-migration of the system namespace, and --undo restores it until
    --finish. Exit code 0: done, 1: failed (of --verify alone: something is not as before; 2: failed), 3: some clusters
    or types were left as they are. No step starts a controller, and no member's object is written by any of them.
    """
    flags = dict(zip(_ORDER, (stop, upgrade, remove_versions, narrow, verify, finish), strict=True))
    steps = tuple(name for name in _ORDER if flags[name])
    if undo and steps:
        raise click.UsageError("--undo goes with no other step")
    try:
        code: int = options.run(
            _Run(host, output, timeout, stored=stored_credentials, despite=despite_checks).run(steps, undo=undo)
        )
    except click.ClickException:
        raise
    except Exception as error:
        if undo or steps not in ((), ("verify",)):
            raise
        from federation.cli import failing  # noqa: PLC0415

        failing.report(error, name="fedctl migrate", verbose=click.get_current_context().ensure_object(State).verbose)
        return failing.USAGE  # 1 would say that there is something to do, or something differs
    return code


class _Run:
    """One run: the facts are read before each step, because the step before has changed them."""

    def __init__(self, host: Host, output: str | None, timeout: float, *, stored: bool, despite: bool) -> None:
        self._host = host
        self._output = output
        self._timeout = timeout
        self._stored = stored
        self._despite = despite

    async def run(self, steps: tuple[str, ...], *, undo: bool) -> int:
        """Do these steps, or show what there is; the exit code."""
        from federation.joining.contexts import Contexts  # noqa: PLC0415
        from federation.joining.reaching import Reach  # noqa: PLC0415
        from federation.migrating.members import Visit  # noqa: PLC0415

        async with Contexts(self._host.kubeconfig) as contexts:
            reach = Reach(contexts, await contexts.open(self._host.context), self._host.namespace)
            visit = Visit(self._stored)
            if undo:
                return await self._undo(reach)
            if not steps:
                return await self._show(reach, visit)
            code = DONE
            for step in steps:
                done = await self._do(step, reach, visit)
                code = max(code, done)
                if done and step != "verify":
                    break  # what comes after rests on it
            return code

    async def _show(self, reach: "Reach", visit: "Visit") -> int:
        from federation.cli import migrated  # noqa: PLC0415
        from federation.migrating import deciding  # noqa: PLC0415

        facts = await self._facts(reach, visit)
        decision = deciding.decide(facts)
        migrated.show(facts, decision, self._output)
        return REFUSED if decision.refused else TODO if decision.todo else DONE

    async def _facts(self, reach: "Reach", visit: "Visit | None" = None, *, compare: bool = True) -> "Facts":
        from federation.migrating import gathering, members  # noqa: PLC0415

        facts = await gathering.read(reach.host, reach.namespace, compare=compare)
        return facts if visit is None else await members.look(reach, facts, visit, options.report)

    async def _undo(self, reach: "Reach") -> int:
        from federation.migrating import narrowing, stopping  # noqa: PLC0415

        await stopping.refuse(reach)
        if problems := await narrowing.undo(reach, options.report):
            return self._left(problems)
        await stopping.undo(reach, options.report)
        return DONE

    async def _do(self, step: str, reach: "Reach", visit: "Visit") -> int:
        from federation.migrating import finishing, narrowing, stopping, upgrading  # noqa: PLC0415

        host, namespace, report = reach.host, reach.namespace, options.report
        if step == "verify":
            return await self._verify(reach, visit)
        facts = await self._facts(reach, visit if step in ("stop", "narrow") else None, compare=step == "upgrade")
        match step:
            case "stop":
                self._check(facts)
                return self._left(await stopping.stop(reach, visit, self._timeout, report))
            case "upgrade":
                upgrading.refuse(facts)
                return self._left(await upgrading.upgrade(reach, facts, self._timeout, report))
            case "remove":
                upgrading.refuse(facts)
                await upgrading.remove(host, namespace, facts, report)
                return DONE
            case "narrow":
                narrowing.refuse(facts)
                return self._left(await narrowing.narrow(reach, facts, report))
            case _:
                finishing.refuse(facts)
                return self._left(await finishing.finish(reach, facts, report))

    async def _verify(self, reach: "Reach", visit: "Visit") -> int:
        from federation.cli import migrated  # noqa: PLC0415
        from federation.migrating import members  # noqa: PLC0415

        proofs = await members.verify(reach, visit, options.report)
        migrated.show_proofs(proofs, self._output)
        if any(each.compared is None for each in proofs):
            return REFUSED
        return DONE if members.proven(proofs) else TODO

    def _check(self, facts: "Facts") -> None:
        from federation.joining.errors import Refused  # noqa: PLC0415
        from federation.migrating import deciding  # noqa: PLC0415

        refused = deciding.decide(facts).refused
        if refused and not self._despite:
            said = "; ".join(f"{each.name}: {each.message}" for each in refused)
            hint = "; ".join(dict.fromkeys(each.hint for each in refused if each.hint))
            raise Refused(
                f"{facts.host}: nothing is stopped, because a check has failed: {said}",
                hint or "mend it, or stop all the same with --despite-checks",
            )

    def _left(self, problems: list[str]) -> int:
        for each in problems:
            options.report(f"warning: {each}")
        return REFUSED if problems else DONE
