"""Make the Helm chart's manifests from the templates that `fedctl init` applies: `python -m charts.render`.

Each manifest is rendered with Helm's expressions as its values, so that there is one text to maintain. The result is
committed in charts/federation, and `make check` compares it byte by byte. What only Helm needs (Chart.yaml, values,
notes, `_config.tpl`) is written by hand beside it.

The CRDs are in `crds/`: Helm installs them first, waits for them, and never deletes or upgrades them; `fedctl init
--crds-only` upgrades them. As templates they would be upgraded with the chart, but then the KubeFedConfig could not be
in it: Helm looks up every kind before it installs the first object. A hook for it failed in two of six installations,
because the CRD was not served yet (tried with Helm 4.3).
"""

import json
import sys
from pathlib import Path
from typing import Any

from charts import alerts, dashboard
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
      affinity:
        {{- with .Values.controllermanager.controller.affinity }}
        {{- toYaml . | nindent 8 }}
        {{- else }}
        podAntiAffinity:
          preferredDuringSchedulingIgnoredDuringExecution:
            - weight: 100
              podAffinityTerm:
                topologyKey: kubernetes.io/hostname
                labelSelector:
                  matchLabels:
                    app.kubernetes.io/name: kubefed-controller
        {{- end }}"""
_SEVERAL_SHARDS = "gt (int .Values.controllermanager.shards) 1"
_SHARDS = f"""\
            {{{{- if {_SEVERAL_SHARDS} }}}}
            - --shards={{{{ int .Values.controllermanager.shards }}}}
            {{{{- end }}}}"""
_SCRAPERS = """\
    {{- with .Values.networkPolicy.metricsFrom }}
    - from: {{- toYaml . | nindent 8 }}
      ports:
        - port: metrics
    {{- end }}"""
_EGRESS = """\
  {{- with .Values.networkPolicy.egress }}
  egress: {{- toYaml . | nindent 4 }}
  {{- end }}"""
_SERVICE_MONITOR = """\
{{- /* Made by `python -m charts.render` from its own text. */}}
{{- if .Values.serviceMonitor.enabled }}
apiVersion: v1
kind: Service
metadata:
  name: kubefed-controller
  namespace: {{ .Release.Namespace }}
  labels:
    app.kubernetes.io/name: kubefed-controller
spec:
  clusterIP: None
  # A controller that is not ready is watched, too.
  publishNotReadyAddresses: true
  selector:
    app.kubernetes.io/name: kubefed-controller
  ports:
    - name: metrics
      port: 8080
      targetPort: metrics
---
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata:
  name: kubefed-controller
  namespace: {{ .Release.Namespace }}
  labels:
    app.kubernetes.io/name: kubefed-controller
    {{- with .Values.serviceMonitor.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  selector:
    matchLabels:
      app.kubernetes.io/name: kubefed-controller
  endpoints:
    - port: metrics
      interval: {{ .Values.serviceMonitor.interval }}
      # The controller's own label `cluster` names members; it is not to become exported_cluster.
      honorLabels: true
{{- end }}
"""
_BUDGET = ".Values.controllermanager.controller.podDisruptionBudget"


_DASHBOARD = """\
{{- /* Made by `python -m charts.render` from charts/dashboard.py; change that and run it again. */}}
{{- if .Values.dashboard.enabled }}
apiVersion: v1
kind: ConfigMap
metadata:
  name: kubefed-dashboard
  namespace: {{ .Release.Namespace }}
  labels: {{- toYaml .Values.dashboard.labels | nindent 4 }}
data:
  federation.json: |
    {{- .Files.Get "dashboards/federation.json" | nindent 4 }}
{{- end }}
"""


_PULLED = 'and .Values.registration.enabled (ne .Values.global.scope "Namespaced")'


def files() -> dict[str, str]:
    """Path in the chart -> content, for every generated file."""
    made = {
        "rbac.yaml": _rbac(),
        "shards.yaml": _when(_SEVERAL_SHARDS, _manifest("host/shards.yaml", namespace=NAMESPACE)),
        "registration.yaml": _when(
            _PULLED, _manifest("host/registration.yaml", namespace=NAMESPACE, home=f"{NAMESPACE}-registration")
        ),
        "auto-accept.yaml": _when(
            f"and .Values.registration.autoAccept ({_PULLED})", _manifest("host/auto-accept.yaml", namespace=NAMESPACE)
        ),
        "user-roles.yaml": _when(".Values.rbac.aggregateToUserRoles", _manifest("host/user-roles.yaml")),
        "config.yaml": _manifest(
            "host/config.yaml", namespace=NAMESPACE, spec='  {{- include "federation.config" . | nindent 2 }}'
        ),
        "deployment.yaml": _deployment(),
        "pod-disruption-budget.yaml": _when(
            f"and {_BUDGET}.enabled (gt (int .Values.controllermanager.controller.replicaCount) 1)",
            _manifest(
                "host/pod-disruption-budget.yaml", namespace=NAMESPACE, most=f"{{{{ {_BUDGET}.maxUnavailable }}}}"
            ),
        ),
        "dashboard.yaml": _DASHBOARD,
        "network-policy.yaml": _when(
            ".Values.networkPolicy.enabled",
            _manifest("host/network-policy.yaml", namespace=NAMESPACE, scrapers=_SCRAPERS, egress=_EGRESS),
        ),
        "prometheus-rule.yaml": alerts.rules(),
        "service-monitor.yaml": _SERVICE_MONITOR,
        "finalizer-policy.yaml": _finalizer_policy(),
    }
    return {
        **{name: templates.render(name).lstrip("\n") for name in (*templates.CORE_CRDS, *templates.KUBEFEDS_CRDS)},
        **{f"templates/{name}": text for name, text in made.items()},
        "dashboards/federation.json": dashboard.text(),
    }


def _deployment() -> str:
    return _manifest(
        "host/deployment.yaml",
        namespace=NAMESPACE,
        image="{{ with .Values.controllermanager.controller.repository }}{{ . }}/{{ end }}"
        "{{ .Values.controllermanager.controller.image }}"
        ":{{ .Values.controllermanager.controller.tag | default .Chart.AppVersion }}",
        replicas="{{ .Values.controllermanager.controller.replicaCount }}",
        more=_SHARDS,
        resources="            {{- toYaml .Values.controllermanager.controller.resources | nindent 12 }}",
        pod=_POD,
    )


def _finalizer_policy() -> str:
    return _when(
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
    )


def _rbac() -> str:
    """The controller's rights, by the scope."""
    within, everywhere = (
        templates.render("host/rbac.yaml", namespace=NAMESPACE, namespaced=namespaced).strip("\n")
        for namespaced in (True, False)
    )
    chosen = (
        f'{{{{- if eq .Values.global.scope "Namespaced" }}}}\n{within}\n{{{{- else }}}}\n{everywhere}\n{{{{- end }}}}\n'
    )
    return _HEADER.replace("{source}", "host/rbac.yaml") + chosen


def _manifest(source: str, **values: Any) -> str:
    return _HEADER.replace("{source}", source) + templates.render(source, **values).lstrip("\n")


def _when(condition: str, text: str) -> str:
    return f"{{{{- if {condition} }}}}\n{text}{{{{- end }}}}\n"


def main(arguments: list[str]) -> int:
    """Write the files, or with --check name those that differ and return 1."""
    made = files()
    known = {
        f"{folder}/{path.name}": path.read_text(encoding="utf-8")
        for folder, ending in (("crds", "yaml"), ("templates", "yaml"), ("dashboards", "json"))
        for path in (CHART / folder).glob(f"*.{ending}")
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
