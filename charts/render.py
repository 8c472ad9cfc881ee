"""Make the Helm chart's manifests from the templates that `fedctl init` applies: `python -m charts.render`.

Each manifest is rendered with Helm's expressions as its values, so that there is one text to maintain. The result is
committed in charts/federation, and `make check` compares it byte by byte. What only Helm needs (Chart.yaml, values,
notes, `_config.tpl`) is written by hand beside it.

The CRDs are in `crds/`: Helm installs them first, waits for them, and never deletes or upgrades them; `fedctl init`
upgrades them. As templates they would be upgraded with the chart, but then the KubeFedConfig could not be in it: Helm
looks up every kind before it installs the first object. A hook for it failed in two of six installations, because the
CRD was not served yet (tried with Helm 4.3).
"""

import json
import sys
from pathlib import Path
from typing import Any

from federation.model.marks import SYSTEM_NAMESPACES
from typegen import templates

CHART = Path(__file__).parent / "federation"
NAMESPACE = "{{ .Release.Namespace }}"
_HEADER = "{{- /* Made from templates/{source} by `python -m charts.render`; change that and run it again. */}}\n"
_POD = """\
      {{- with .Values.imagePullSecrets }}
      imagePullSecrets: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.controllermanager.controller.priorityClassName }}
      priorityClassName: {{ . | quote }}
      {{- end }}
      {{- with .Values.controllermanager.controller.nodeSelector }}
      nodeSelector: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.controllermanager.controller.tolerations }}
      tolerations: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.controllermanager.controller.affinity }}
      affinity: {{- toYaml . | nindent 8 }}
      {{- end }}"""


def files() -> dict[str, str]:
    """Path in the chart -> content, for every generated file."""
    made = {
        "rbac.yaml": _manifest("host/rbac.yaml", namespace=NAMESPACE),
        "user-roles.yaml": _when(".Values.rbac.aggregateToUserRoles", _manifest("host/user-roles.yaml")),
        "config.yaml": _manifest(
            "host/config.yaml", namespace=NAMESPACE, spec='  {{- include "federation.config" . | nindent 2 }}'
        ),
        "deployment.yaml": _manifest(
            "host/deployment.yaml",
            namespace=NAMESPACE,
            image="{{ with .Values.controllermanager.controller.repository }}{{ . }}/{{ end }}"
            "{{ .Values.controllermanager.controller.image }}"
            ":{{ .Values.controllermanager.controller.tag | default .Chart.AppVersion }}",
            replicas="{{ .Values.controllermanager.controller.replicaCount }}",
            resources="            {{- toYaml .Values.controllermanager.controller.resources | nindent 12 }}",
            pod=_POD,
        ),
        "finalizer-policy.yaml": _when(
            'or (eq (toString .Values.finalizerPolicy.enabled) "true") '
            '(and (eq (toString .Values.finalizerPolicy.enabled) "auto") '
            '(.Capabilities.APIVersions.Has "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy"))',
            _manifest(
                "host/finalizer-policy.yaml",
                name=f"kubefed-sync-finalizer.{NAMESPACE}",
                namespace=NAMESPACE,
                group="types.kubefed.io",
                controller=f"system:serviceaccount:{NAMESPACE}:kubefed-controller",
                system=json.dumps([*sorted(SYSTEM_NAMESPACES), NAMESPACE]),
            ),
        ),
    }
    return {
        **{name: templates.render(name).lstrip("\n") for name in templates.CORE_CRDS},
        **{f"templates/{name}": text for name, text in made.items()},
    }


def _manifest(source: str, **values: Any) -> str:
    return _HEADER.replace("{source}", source) + templates.render(source, **values).lstrip("\n")


def _when(condition: str, text: str) -> str:
    return f"{{{{- if {condition} }}}}\n{text}{{{{- end }}}}\n"


def main(arguments: list[str]) -> int:
    """Write the files, or with --check name those that differ and return 1."""
    made = files()
    known = {
        f"{folder}/{path.name}": path.read_text(encoding="utf-8")
        for folder in ("crds", "templates")
        for path in (CHART / folder).glob("*.yaml")
    }
    differing = sorted(name for name in made.keys() | known.keys() if made.get(name) != known.get(name))
    if "--check" in arguments:
        for name in differing:
            sys.stderr.write(f"error: {CHART / name} is not what templates/ gives: run python -m charts.render\n")
        return 1 if differing else 0
    for name in differing:
        if name in made:
            (CHART / name).parent.mkdir(parents=True, exist_ok=True)
            (CHART / name).write_text(made[name], encoding="utf-8")
        else:
            (CHART / name).unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
