"""Have the host's API server write KubeFed's defaults into KubeFedConfigs that are created, as KubeFed's webhook did.

A MutatingAdmissionPolicy, one for the host, with its conditions in templates/host/config-defaults.yaml. Nothing depends
on it: an absent field means its default. What `fedctl init` makes stays as short as it is written.
"""

from typing import Any

from federation.joining import applying
from federation.joining.applying import MANAGER, Manifest, Outcome, Report
from federation.kube.connection import Connection
from federation.model.errors import ApiFailure
from federation.model.failures import FailureKind
from typegen import templates

NAME = "kubefed-config-defaults.core.kubefed.io"
DEFAULTS: dict[str, dict[str, Any]] = {
    "clusterHealthCheck": {"failureThreshold": 3, "period": "10s", "successThreshold": 1, "timeout": "3s"},
    "controllerDuration": {"availableDelay": "20s", "cacheSyncTimeout": "5m", "unavailableDelay": "60s"},
    "leaderElect": {
        "leaseDuration": "15s",
        "renewDeadline": "10s",
        "resourceLock": "configmaps",
        "retryPeriod": "5s",
    },
    "statusController": {"maxConcurrentReconciles": 1},
    "syncController": {"adoptResources": "Enabled", "maxConcurrentReconciles": 1},
}
"""What KubeFed's webhook wrote, below spec. One reconcile at a time was its default; ours, where it says nothing, is
another (model.settings)."""
GATES = (
    {"name": "PushReconciler", "configuration": "Enabled"},
    {"name": "RawResourceStatusCollection", "configuration": "Disabled"},
    {"name": "SchedulerPreferences", "configuration": "Enabled"},
)
_DO_WITHOUT = (FailureKind.TYPE_MISSING, FailureKind.NOT_FOUND, FailureKind.RIGHT_MISSING)


def manifests() -> list[Manifest]:
    """The policy and its binding."""
    return [
        *templates.documents("host/config-defaults.yaml", name=NAME, fields=DEFAULTS, gates=GATES, installer=MANAGER)
    ]


async def install(host: Connection, report: Report) -> None:
    """Apply it. A host that does not serve such policies, or a user without the right, does without."""
    try:
        outcomes = {await applying.apply(host, manifest) for manifest in manifests()}
    except ApiFailure as error:
        if error.failure.kind not in _DO_WITHOUT:
            raise
        return
    if Outcome.CREATED in outcomes:
        report(f"from now on {host.name}'s API server writes the defaults into a KubeFedConfig that is created")
