"""The chart's Grafana dashboard: one table of panels, from which `charts.render` makes the JSON.

Every panel asks for metrics that docs/operations.md describes; a test compares their names with those that the
controller has.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_WIDE, _HIGH = 24, 8
"""Columns of a dashboard, and rows of a panel."""
_MOST = 20
"""Clusters, or types, that a panel shows: those with the most."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel: its queries, each with the legend of its lines. `kind` is Grafana's, `width` in columns."""

    title: str
    queries: tuple[tuple[str, str], ...]
    kind: str = "timeseries"
    unit: str = "short"
    width: int = 8
    text: str = ""


_SECONDS = "controller_runtime_reconcile_time_seconds_bucket"
_FAILED = '{result!="ok"}'


def _rate(metric: str, by: str, where: str = "") -> str:
    return f"sum by ({by}) (rate({metric}{where}[$__rate_interval]))"


ROWS: tuple[tuple[str, tuple[Panel, ...]], ...] = (
    (
        "Fleet",
        (
            Panel("Clusters ready", (("sum(federation_cluster_ready)", "ready"),), "stat", width=4),
            Panel("Clusters not ready", (("sum(1 - federation_cluster_ready)", "not ready"),), "stat", width=4),
            Panel(
                "Leader",
                (("sum by (pod) (leader_election_master_status)", "{{pod}}"),),
                "stat",
                width=4,
                text="1 is the process that leads; of several shards, how many it holds. All 0: nobody pushes.",
            ),
            Panel("Deletions held", (("sum(federation_deletions_held)", "held"),), "stat", width=4),
            Panel("Hub restored", (("max(federation_hub_restored)", "1: removals are held"),), "stat", width=4),
            Panel("Copies", (("sum(federation_placements)", "copies"),), "stat", width=4),
            Panel("Which are not ready", (("federation_cluster_ready == 0", "{{cluster}}"),)),
            Panel("Copies by cluster", ((f"topk({_MOST}, federation_placements)", "{{cluster}}"),)),
            Panel("Copies by type", ((f"topk({_MOST}, sum by (type) (federation_type_placements))", "{{type}}"),)),
        ),
    ),
    (
        "Pushes and failures",
        (
            Panel("Pushes by result", ((_rate("federation_pushes_total", "result"), "{{result}}"),), unit="ops"),
            Panel(
                "Failures by cluster",
                ((f"topk({_MOST}, {_rate('federation_pushes_total', 'cluster', _FAILED)})", "{{cluster}}"),),
                unit="ops",
            ),
            Panel(
                "Failures by type",
                ((f"topk({_MOST}, {_rate('federation_type_pushes_total', 'type', _FAILED)})", "{{type}}"),),
                unit="ops",
            ),
            Panel("Removals by cause", ((_rate("federation_removals_total", "reason"), "{{reason}}"),), unit="ops"),
            Panel("What the hub refused", ((_rate("federation_hub_refusals_total", "what"), "{{what}}"),), unit="ops"),
            Panel("Lists from nothing", ((_rate("federation_relists_total", "reason"), "{{reason}}"),), unit="ops"),
        ),
    ),
    (
        "Lag and queues",
        (
            Panel(
                "Time of a reconcile (p50, p99)",
                tuple(
                    (f"histogram_quantile({share}, {_rate(_SECONDS, 'le')})", f"p{share * 100:g}")
                    for share in (0.5, 0.99)
                ),
                unit="s",
            ),
            Panel(
                "Keys that wait",
                (("sum(workqueue_depth)", "now"), ("sum(federation_queue_later)", "for their time")),
            ),
            Panel("Work that waits, by cluster", ((f"topk({_MOST}, federation_lane_depth)", "{{cluster}}"),)),
            Panel(
                "Answer time of a cluster (average)",
                (
                    (
                        f"topk({_MOST}, {_rate('federation_request_seconds_total', 'cluster')} / "
                        'sum by (cluster) (label_replace(rate(rest_client_requests_total{method!="WATCH"}'
                        '[$__rate_interval]), "cluster", "$1", "host", "(.*)")))',
                        "{{cluster}}",
                    ),
                ),
                unit="s",
            ),
            Panel("Lanes that stop", ((_rate("federation_lane_pauses_total", "reason"), "{{reason}}"),), unit="ops"),
            Panel("Probes", ((_rate("federation_probes_total", "result"), "{{result}}"),), unit="ops"),
        ),
    ),
    (
        "Watches and tokens",
        (
            Panel(
                "Types that cannot be observed",
                ((f"topk({_MOST}, federation_watches_waiting) > 0", "{{cluster}}"),),
                text="Their watch in that member has failed and is tried again: fedctl get clusters says why.",
            ),
            Panel(
                "Watch events by type", ((_rate("federation_type_watch_events_total", "type"), "{{type}}"),), unit="ops"
            ),
            Panel(
                "Watch events by cluster",
                ((f"topk({_MOST}, {_rate('federation_watch_events_total', 'cluster')})", "{{cluster}}"),),
                unit="ops",
            ),
            Panel(
                "Time until a token ends (shortest)",
                ((f"bottomk({_MOST}, federation_token_expiry_timestamp_seconds - time())", "{{cluster}}"),),
                unit="s",
                text="Renewed at half its life. What falls below that is not renewed: fedctl get clusters says why.",
            ),
            Panel(
                "Share of a token's life that has passed (largest)",
                (
                    (
                        f"topk({_MOST}, (time() - federation_token_issued_timestamp_seconds) / "
                        "(federation_token_expiry_timestamp_seconds - federation_token_issued_timestamp_seconds))",
                        "{{cluster}}",
                    ),
                ),
                unit="percentunit",
                text="Above 0.5 it should have been renewed.",
            ),
            Panel(
                "What the hub said before removals",
                ((_rate("federation_removal_proofs_total", "result"), "{{result}}"),),
                unit="ops",
            ),
        ),
    ),
    (
        "The process",
        (
            Panel(
                "How late the event loop is",
                (("max by (pod) (federation_event_loop_lag_seconds)", "{{pod}}"),),
                unit="s",
                text="Above 0.2 s is a bug, or the CPU is somebody else's.",
            ),
            Panel(
                "Connections",
                (
                    ("sum(federation_open_connections)", "open"),
                    ("sum(federation_connections_needed)", "needed"),
                    ("sum(federation_connections_limit)", "limit"),
                ),
            ),
            Panel("Memory", (("max by (pod) (process_resident_memory_bytes)", "{{pod}}"),), unit="bytes"),
        ),
    ),
)


def text() -> str:
    """The dashboard as JSON."""
    document = {
        "title": "Federation",
        "uid": "kubefed-successor",
        "tags": ["kubernetes", "federation"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {
            "list": [{"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Source"}]
        },
        "panels": list(_panels()),
    }
    return json.dumps(document, indent=2) + "\n"


def _panels() -> Iterator[dict[str, Any]]:
    number = top = 0
    for title, panels in ROWS:
        number += 1
        yield {"id": number, "type": "row", "title": title, "gridPos": {"x": 0, "y": top, "w": _WIDE, "h": 1}}
        top, left, height = top + 1, 0, 0
        for panel in panels:
            number += 1
            high = _HIGH // 2 if panel.kind == "stat" else _HIGH
            if left + panel.width > _WIDE:
                top, left, height = top + height, 0, 0
            yield _panel(panel, number, {"x": left, "y": top, "w": panel.width, "h": high})
            left, height = left + panel.width, max(height, high)
        top += height


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    source = {"type": "prometheus", "uid": "${datasource}"}
    targets = [
        {"refId": chr(ord("A") + index), "datasource": source, "expr": query, "legendFormat": legend}
        for index, (query, legend) in enumerate(panel.queries)
    ]
    found = {"id": number, "type": panel.kind, "title": panel.title, "gridPos": place, "datasource": source}
    found |= {"targets": targets, "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []}}
    return found | ({"description": panel.text} if panel.text else {})
