"""Prometheus metrics under controller-runtime's names where it has one; labels by cluster and type, never by object."""

from collections.abc import Mapping
from typing import TypeVar

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
CONNECTIONS = Gauge("federation_open_connections", "Connections to API servers that are open, watches included.")
CONNECTIONS_OPENED = Counter("federation_connections_opened_total", "Connections to API servers that were opened.")
UNREADABLE = Counter(
    "federation_unreadable_objects_total",
    "Objects that an API server sent and that could not be read, each once.",
    ["cluster", "type"],
)
PUSHES = Counter("federation_pushes_total", "Writes to members by what came of them.", ["cluster", "type", "result"])
REMOVALS = Counter(
    "federation_removals_total",
    "Copies that were deleted in a member or released there, by what that followed from.",
    ["cluster", "type", "result", "reason"],
)
HUB_REFUSALS = Counter(
    "federation_hub_refusals_total", "Writes that the hub refused, by what: finalizer, status, event.", ["type", "what"]
)
RELISTS = Counter("federation_relists_total", "Lists from nothing by reason.", ["cluster", "type", "reason"])
WATCH_EVENTS = Counter("federation_watch_events_total", "Watch events received.", ["cluster", "type"])
CLUSTER_READY = Gauge("federation_cluster_ready", "1 when the member answers its probe.", ["cluster"])
LANE_DEPTH = Gauge("federation_lane_depth", "Keys that wait for one member or are being written to it.", ["cluster"])
LANE_PAUSED = Counter("federation_lane_pauses_total", "Times a lane stopped asking its member.", ["cluster", "reason"])
PLACEMENTS = Gauge("federation_placements", "Objects observed in members by type.", ["cluster", "type"])
PROBES = Counter(
    "federation_probes_total",
    "Probes by result; inconclusive: this process was too late to read an answer.",
    ["result"],
)
LOOP_LATE = Counter("federation_event_loop_late_seconds_total", "Seconds that the event loop was late by, in all.")
LOOP_LAG = Gauge("federation_event_loop_lag_seconds", "How late the event loop woke up last time.")

M = TypeVar("M", bound=MetricWrapperBase)

HUB = "hub"
"""The hub's own name in the labels."""
_ABOUT_CLUSTERS: Mapping[str, tuple[MetricWrapperBase, ...]] = {
    "host": (REQUESTS, REQUEST_SECONDS),
    "cluster": (
        PUSHES,
        REMOVALS,
        RELISTS,
        UNREADABLE,
        WATCH_EVENTS,
        CLUSTER_READY,
        LANE_DEPTH,
        LANE_PAUSED,
        PLACEMENTS,
    ),
}


_children: dict[tuple[MetricWrapperBase, str, tuple[str, ...]], MetricWrapperBase] = {}


def about(metric: M, cluster: str, *others: str) -> M:
    """`metric.labels(cluster, *others)`, remembered: looking it up under the metric's lock takes five times as long."""
    key = (metric, cluster, others)
    child = _children.get(key)
    if child is None:
        child = _children[key] = metric.labels(cluster, *others)
    return child  # type: ignore[return-value]  # a metric's children are of its own class


def forget_cluster(name: str) -> None:
    """Drop every sample about a cluster that has left, or clusters that come and go would fill memory and /metrics.

    A member that is called as the hub shares its labels, which stay.
    """
    if name != HUB:
        for key in [key for key in _children if key[1] == name]:
            del _children[key]
        for label, about in _ABOUT_CLUSTERS.items():
            for metric in about:
                metric.remove_by_labels({label: name})
