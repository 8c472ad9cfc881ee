"""Prometheus metrics under controller-runtime's names where it has one; labels by cluster and type, never by object."""

from collections.abc import Mapping

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

RECONCILES = Counter(
    "controller_runtime_reconcile_total", "Reconciles by controller and result.", ["controller", "result"]
)
RECONCILE_ERRORS = Counter("controller_runtime_reconcile_errors_total", "Reconciles that failed.", ["controller"])
RECONCILE_SECONDS = Histogram(
    "controller_runtime_reconcile_time_seconds",
    "Time a reconcile took, waiting for the hub included.",
    ["controller"],
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
ACTIVE_WORKERS = Gauge("controller_runtime_active_workers", "Workers busy now.", ["controller"])
QUEUE_DEPTH = Gauge("workqueue_depth", "Keys waiting.", ["name"])
QUEUE_ADDS = Counter("workqueue_adds_total", "Keys added.", ["name"])
QUEUE_LATER = Gauge("federation_queue_later", "Keys that wait for their time (back-off, timers).", ["name"])
REQUESTS = Counter(
    "rest_client_requests_total", "API requests by cluster, verb and answer.", ["host", "method", "code"]
)
REQUEST_SECONDS = Histogram(
    "rest_client_request_duration_seconds",
    "Time until an API server answered.",
    ["host", "verb"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
PUSHES = Counter("federation_pushes_total", "Writes to members by what came of them.", ["cluster", "type", "result"])
RELISTS = Counter("federation_relists_total", "Lists from nothing by reason.", ["cluster", "type", "reason"])
WATCH_EVENTS = Counter("federation_watch_events_total", "Watch events received.", ["cluster", "type"])
CLUSTER_READY = Gauge("federation_cluster_ready", "1 when the member answers its probe.", ["cluster"])
LANE_DEPTH = Gauge("federation_lane_depth", "Keys that wait for one member or are being written to it.", ["cluster"])
LANE_PAUSED = Counter("federation_lane_pauses_total", "Times a lane stopped asking its member.", ["cluster", "reason"])
PLACEMENTS = Gauge("federation_placements", "Objects observed in members by type.", ["cluster", "type"])
LOOP_LAG = Gauge("federation_event_loop_lag_seconds", "How late the event loop woke up last time.")

HUB = "hub"
"""The hub's own name in the labels."""
_ABOUT_CLUSTERS: Mapping[str, tuple[MetricWrapperBase, ...]] = {
    "host": (REQUESTS, REQUEST_SECONDS),
    "cluster": (PUSHES, RELISTS, WATCH_EVENTS, CLUSTER_READY, LANE_DEPTH, LANE_PAUSED, PLACEMENTS),
}


def forget_cluster(name: str) -> None:
    """Drop every sample about a cluster that has left, or clusters that come and go would fill memory and /metrics.

    A member that is called as the hub shares its labels, which stay.
    """
    if name != HUB:
        for label, about in _ABOUT_CLUSTERS.items():
            for metric in about:
                metric.remove_by_labels({label: name})
