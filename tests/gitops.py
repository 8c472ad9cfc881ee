"""What GitOps tools think of an object: kstatus' generic rules (Flux, Helm --wait, kustomize tools), Argo CD's Lua.

`kstatus` follows cli-utils pkg/kstatus/status (generic.go, checkGenericProperties): the rules for kinds that it does
not know by name; compared with v0.37.2 itself over every combination of what they read. `argo` runs the scripts of
e2e/gitops/argocd as they are shipped, in a real Lua 5.1.
"""

import json
from pathlib import Path
from typing import Any

import lupa.lua51 as lua
import yaml

FOLDER = Path(__file__).parents[1] / "e2e" / "gitops"


def kstatus(found: dict[str, Any]) -> str:
    """Terminating, InProgress, Failed or Current."""
    metadata, status = found["metadata"], found.get("status") or {}
    if metadata.get("deletionTimestamp"):
        return "Terminating"
    observed = status.get("observedGeneration")
    if observed is not None and observed != metadata.get("generation"):
        return "InProgress"
    conditions = {each["type"]: each for each in status.get("conditions") or ()}
    for kind, condition in conditions.items():
        if kind in ("Reconciling", "Stalled") and condition["status"] == "True":
            return "InProgress" if kind == "Reconciling" else "Failed"
    if conditions.get("Ready", {}).get("status") in ("False", "Unknown"):
        return "InProgress"
    return "Current"


def argo(found: dict[str, Any]) -> tuple[str, str]:
    """Health and message that Argo CD shows for the object."""
    group = found["apiVersion"].rpartition("/")[0]
    settings = yaml.safe_load((FOLDER / "argocd" / "argocd-cm.yaml").read_text())
    scripts = yaml.safe_load(settings["data"]["resource.customizations"])
    script = scripts.get(f"{group}/{found['kind']}") or scripts[f"{group}/*"]
    runtime = lua.LuaRuntime(unpack_returned_tuples=True, register_eval=False, register_builtins=False)
    runtime.globals().obj = _table(runtime, json.loads(json.dumps(found)))
    health = runtime.execute(script["health.lua"])
    return str(health["status"]), str(health["message"])


def _table(runtime: Any, value: Any) -> Any:
    if isinstance(value, dict):
        return runtime.table_from({key: _table(runtime, inner) for key, inner in value.items()})
    if isinstance(value, list):
        return runtime.table_from([_table(runtime, inner) for inner in value])
    return value
