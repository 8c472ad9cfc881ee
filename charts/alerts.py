"""What wakes an operator at night: the chart's alerts, as a table.

`charts.render` writes them. Each metric is one of the controller's /metrics (tests/unit/release/test_alerts.py).
`$` in an expression stands for the labels that select this release's controllers. What each means and what to do has a
section of docs/night.md, which the alert's description names (tests/unit/release/test_night.py).
"""

import json
from typing import NamedTuple


class Alert(NamedTuple):
    """One alert. `lasts` is for how long the expression must hold; `do` says what to do, in words for the night."""

    name: str
    expression: str
    lasts: str
    severity: str
    summary: str
    do: str


ALERTS = (
    Alert(
        "FederationNoLeader",
        "absent(leader_election_master_status{$} == 1)",
        "2m",
        "critical",
        "No controller leads: nothing is propagated, and clusters are not probed.",
        "fedctl get controllers; look at the Deployment's pods and their logs.",
    ),
    Alert(
        "FederationShardVacant",
        'max by (name) (leader_election_master_status{$,name=~".+-[0-9]+"}) == 0',
        "2m",
        "critical",
        "Nobody holds {{ $labels.name }}: the clusters of its shard are not probed, and deletions wait for it.",
        "fedctl get controllers; look at the Deployment's pods and their logs.",
    ),
    Alert(
        "FederationClusterNotReady",
        "max by (cluster) (federation_cluster_ready{$}) == 0",
        "10m",
        "warning",
        "Member {{ $labels.cluster }} does not answer its probes. Its objects stay as they are.",
        "fedctl get clusters -o wide says why.",
    ),
    Alert(
        "FederationPushesFailing",
        'sum by (cluster) (increase(federation_pushes_total{$,result!="ok"}[15m])) > 5',
        "15m",
        "warning",
        "Writes to member {{ $labels.cluster }} fail again and again.",
        "fedctl get federated -A and fedctl status name the objects and the member's own message.",
    ),
    Alert(
        "FederationLaneGrowing",
        "federation_lane_depth{$} > 100 and deriv(federation_lane_depth{$}[15m]) > 0",
        "30m",
        "warning",
        "More and more work waits for member {{ $labels.cluster }}: {{ $value }} objects.",
        "Is the member slow, or does it throttle? See federation_lane_pauses_total and rest_client_requests_total.",
    ),
    Alert(
        "FederationWatchStale",
        "federation_watches_waiting{$} > 0 and federation_cluster_ready{$} == 1",
        "15m",
        "warning",
        "{{ $value }} types cannot be observed in member {{ $labels.cluster }}, which answers.",
        "The condition Synced of its KubeFedCluster names the missing right or type.",
    ),
    Alert(
        "FederationTokenNearEnd",
        "(federation_token_expiry_timestamp_seconds{$} - time()) / (federation_token_expiry_timestamp_seconds{$} - "
        "federation_token_issued_timestamp_seconds{$}) < 0.25",
        "5m",
        "critical",
        "The token for member {{ $labels.cluster }} has less than a quarter of its life left and was not renewed.",
        "The log line `token not renewed` says why; fedctl join NAME --rotate makes a new one.",
    ),
    Alert(
        "FederationEventLoopLate",
        "federation_event_loop_lag_seconds{$} > 1",
        "10m",
        "warning",
        "The controller is {{ $value }} s late with everything.",
        "Has the pod the CPU that it asks for? Nothing in the controller takes so long.",
    ),
    Alert(
        "FederationDeletionsHeld",
        "sum(federation_deletions_held{$}) > 0",
        "5m",
        "warning",
        "{{ $value }} deletions in members wait for a person.",
        "fedctl deletions names the change that they follow from.",
    ),
    Alert(
        "FederationHubRestored",
        "max(federation_hub_restored{$}) == 1",
        "1m",
        "critical",
        "The hub went back to an earlier state. Removals are held.",
        "fedctl recovery status",
    ),
)

PAGE = "docs/night.md"
_ESCAPED = "{{ `%s` }}"


def rules() -> str:
    """templates/prometheus-rule.yaml."""
    selector = 'job="kubefed-controller",namespace="{{ .Release.Namespace }}"'
    lines = [
        "{{- /* Made from charts/alerts.py by `python -m charts.render`. */}}",
        "{{- if .Values.prometheusRule.enabled }}",
        "apiVersion: monitoring.coreos.com/v1",
        "kind: PrometheusRule",
        "metadata:",
        "  name: kubefed-controller",
        "  namespace: {{ .Release.Namespace }}",
        "  labels:",
        "    app.kubernetes.io/name: kubefed-controller",
        "    {{- with .Values.prometheusRule.labels }}",
        "    {{- toYaml . | nindent 4 }}",
        "    {{- end }}",
        "spec:",
        "  groups:",
        "    - name: kubefed-controller",
        "      rules:",
    ]
    for alert in ALERTS:
        expression = json.dumps(alert.expression.replace("$", "SELECTOR")).replace(
            "SELECTOR", selector.replace('"', r"\"")
        )
        lines += [
            f"        - alert: {alert.name}",
            f"          expr: {expression}",
            f"          for: {alert.lasts}",
            "          labels:",
            f"            severity: {alert.severity}",
            "          annotations:",
            f"            summary: {_ESCAPED % json.dumps(alert.summary)}",
            f"            description: {_ESCAPED % json.dumps(_described(alert))}",
        ]
    return "\n".join([*lines, "{{- end }}", ""])


def _described(alert: Alert) -> str:
    """What to do, and where more of it is; Helm's own quotes are backticks."""
    return f"{alert.do} ({PAGE}#{alert.name.lower()})".replace("`", "'")
