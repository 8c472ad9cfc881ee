"""The Helm chart's templates, made from the same sources that `fedctl init` applies: `python -m templates.chart`.

Each manifest is rendered with Helm's expressions as its values, so there is one text to maintain. The result is
committed under charts/federation/templates, and a test compares it byte by byte. What Helm alone needs (Chart.yaml,
values, notes, `_config.tpl`) is written by hand beside it.
"""

import sys
from pathlib import Path

import templates

CHART = Path(__file__).parent.parent / "charts" / "federation"
NAMESPACE = "{{ .Release.Namespace }}"
_HEADER = "{{- /* Made from templates/{source} by `python -m templates.chart`; change that and run it again. */}}\n"
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
_KEEP = """\
metadata:
  {{- if .Values.crds.keep }}
  annotations:
    helm.sh/resource-policy: keep
  {{- end }}
"""
_AFTER_THE_CRDS = """\
metadata:
  annotations:
    helm.sh/hook: post-install,post-upgrade
    helm.sh/hook-delete-policy: before-hook-creation
"""


def files() -> dict[str, str]:
    """File name -> content of every generated file in the chart's templates folder."""
    return {
        "crds.yaml": _crds(),
        "rbac.yaml": _manifest("host/rbac.yaml", namespace=NAMESPACE),
        "user-roles.yaml": _when("rbac.aggregateToUserRoles", _manifest("host/user-roles.yaml")),
        "config.yaml": _config(),
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
            "finalizerPolicy.enabled",
            _manifest(
                "host/finalizer-policy.yaml",
                group="types.kubefed.io",
                controller=f"system:serviceaccount:{NAMESPACE}:kubefed-controller",
            ),
        ),
    }


def _manifest(source: str, **values: object) -> str:
    return _HEADER.replace("{source}", source) + templates.render(source, **values).lstrip("\n")


def _when(value: str, text: str) -> str:
    return f"{{{{- if .Values.{value} }}}}\n{text}{{{{- end }}}}\n"


def _crds() -> str:
    rendered = [_manifest(name).replace("metadata:\n", _KEEP, 1) for name in templates.CORE_CRDS]
    return _when("crds.install", "---\n".join(rendered))


def _config() -> str:
    """KubeFedConfig as a hook: Helm looks up every kind before it installs the first object, CRDs included."""
    text = _manifest("host/config.yaml", namespace=NAMESPACE, spec='  {{- include "federation.config" . | nindent 2 }}')
    return text.replace("metadata:\n", _AFTER_THE_CRDS, 1)


def main(arguments: list[str]) -> int:
    """Write the files, or with --check name those that differ and return 1."""
    folder = CHART / "templates"
    made = files()
    known = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.yaml")}
    differing = sorted(name for name in made.keys() | known.keys() if made.get(name) != known.get(name))
    if "--check" in arguments:
        for name in differing:
            sys.stderr.write(f"error: {folder / name} is not what templates/ gives: run python -m templates.chart\n")
        return 1 if differing else 0
    folder.mkdir(parents=True, exist_ok=True)
    for name in differing:
        if name in made:
            (folder / name).write_text(made[name], encoding="utf-8")
        else:
            (folder / name).unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
