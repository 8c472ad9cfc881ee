"""Prometheus metrics under controller-runtime's names where it has one; labels by cluster or type, never by object.

What is counted by cluster is not counted by type at once: the product would be the largest part of /metrics and no one
could look at it. A metric of each says which cluster and which type it is; statuses and the log say the rest.
"""

from collections.abc import Iterator

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics, generate_latest

from federation.runtime.samples import Family

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
ACTIVE_WORKERS = Family("gauge", "controller_runtime_active_workers", "Workers busy now.", ["controller"])
QUEUE_DEPTH = Family("gauge", "workqueue_depth", "Keys waiting.", ["name"])
QUEUE_ADDS = Counter("workqueue_adds_total", "Keys added.", ["name"])
QUEUE_LATER = Family("gauge", "federation_queue_later", "Keys that wait for their time (back-off, timers).", ["name"])
REQUESTS = Family(
    "counter",
    "rest_client_requests_total",
    "API requests by cluster, verb and answer.",
    ["host", "method", "code"],
)
REQUEST_SECONDS = Histogram(
    "rest_client_request_duration_seconds",
    "Time until an API server answered; host is hub, or members for all of them together.",
    ["host", "verb"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
REQUEST_SECONDS_IN_ALL = Family(
    "counter",
    "federation_request_seconds_total",
    "Seconds that requests to one API server took, in all, watches aside.",
    ["cluster"],
)
CONNECTIONS = Gauge("federation_open_connections", "Connections to API servers that are open, watches included.")
CONNECTIONS_NEEDED = Family("gauge", "federation_connections_needed", "Connections that the members and types need.")
CONNECTIONS_MOST = Gauge("federation_connections_limit", "Connections that may be open, by the limit of open files.")
CONNECTIONS_OPENED = Counter("federation_connections_opened_total", "Connections to API servers that were opened.")
UNREADABLE = Family(
    "counter",
    "federation_unreadable_objects_total",
    "Objects that an API server sent and that could not be read, each once.",
    ["cluster", "type"],
)
PUSHES = Family(
    "counter", "federation_pushes_total", "Writes to one member by what came of them.", ["cluster", "result"]
)
TYPE_PUSHES = Family(
    "counter",
    "federation_type_pushes_total",
    "Writes of one type to all members by what came of them.",
    ["type", "result"],
)
REMOVALS = Family(
    "counter",
    "federation_removals_total",
    "Copies that were deleted in members or released there, by what that followed from.",
    ["type", "result", "reason"],
)
PROOFS = Counter(
    "federation_removal_proofs_total",
    "What the hub, asked before a removal, said: answer or contact (it stands), stale, older or silent (it does not).",
    ["result"],
)
LEADS = Gauge("leader_election_master_status", "1 while this process leads, 0 while it stands by.", ["name"])
FENCED = Counter(
    "federation_fenced_writes_total", "Writes that were not sent, or recalled, because the lease could have ended."
)
HUB_RESTORED = Family(
    "gauge",
    "federation_hub_restored",
    "1 while removals are held because the hub was restored from a backup.",
    together=max,
)
HUB_RESTORATIONS = Counter(
    "federation_hub_restorations_total", "How often the hub was recognised to have gone back to an earlier state."
)
DELETIONS_HELD = Family(
    "gauge", "federation_deletions_held", "Deletions that wait for a person, because too much would be deleted."
)
DELETION_HOLDS = Counter(
    "federation_deletion_holds_total", "Groups of deletions that were held, by what they follow from.", ["cause"]
)
HUB_REFUSALS = Counter(
    "federation_hub_refusals_total", "Writes that the hub refused, by what: finalizer, status, event.", ["type", "what"]
)
RELISTS = Family("counter", "federation_relists_total", "Lists from nothing by reason.", ["cluster", "reason"])
WATCH_EVENTS = Family(
    "counter", "federation_watch_events_total", "Watch events received from one cluster.", ["cluster"]
)
TYPE_WATCH_EVENTS = Family(
    "counter",
    "federation_type_watch_events_total",
    "Watch events about one type, received from hub and members.",
    ["type"],
)
CLUSTER_READY = Family("gauge", "federation_cluster_ready", "1 when the member answers its probe.", ["cluster"])
WATCHES_WAITING = Family(
    "gauge",
    "federation_watches_waiting",
    "Types whose watch in one member has failed and is tried again: what it holds of them is not seen meanwhile.",
    ["cluster"],
)
TOKEN_ISSUED = Family(
    "gauge", "federation_token_issued_timestamp_seconds", "When the token for one member was issued.", ["cluster"]
)
TOKEN_EXPIRY = Family(
    "gauge",
    "federation_token_expiry_timestamp_seconds",
    "When the token for one member ends; it is renewed at half its life. No sample: it has no end that is known.",
    ["cluster"],
)
LANE_DEPTH = Family(
    "gauge", "federation_lane_depth", "Keys that wait for one member or are being written to it.", ["cluster"]
)
LANE_PAUSED = Family(
    "counter", "federation_lane_pauses_total", "Times a lane stopped asking its member.", ["cluster", "reason"]
)
PLACEMENTS = Family("gauge", "federation_placements", "Objects observed in one member.", ["cluster"])
TYPE_PLACEMENTS = Family(
    "gauge", "federation_type_placements", "Objects of one type observed in all members.", ["type"]
)
PROBES = Counter(
    "federation_probes_total",
    "Probes by result; inconclusive: this process was too late to read an answer.",
    ["result"],
)
LOOP_LATE = Counter("federation_event_loop_late_seconds_total", "Seconds that the event loop was late by, in all.")
LOOP_LAG = Gauge(
    "federation_event_loop_lag_seconds", "How late the event loop was at most, within the last minute or two."
)
LOOP_LONGEST = Gauge(
    "federation_event_loop_longest_lag_seconds", "How late the event loop was at most, since it began."
)

HUB = "hub"
"""The hub's own name in the labels."""
MEMBERS = "members"
"""All members together, where a histogram of each would be fifteen lines and more for each."""
_ABOUT_CLUSTERS = (
    REQUESTS,
    REQUEST_SECONDS_IN_ALL,
    UNREADABLE,
    PUSHES,
    RELISTS,
    WATCH_EVENTS,
    CLUSTER_READY,
    WATCHES_WAITING,
    TOKEN_ISSUED,
    TOKEN_EXPIRY,
    LANE_DEPTH,
    LANE_PAUSED,
    PLACEMENTS,
)
_ABOUT_TYPES = (TYPE_PUSHES, REMOVALS, TYPE_WATCH_EVENTS, TYPE_PLACEMENTS)
_ABOUT_WORK = (ACTIVE_WORKERS, QUEUE_DEPTH, QUEUE_LATER, CONNECTIONS_NEEDED, HUB_RESTORED, DELETIONS_HELD)
"""What each controller of a process follows (Family.follow): with several shards it may run more than one."""

# They are a second line for each of prometheus_client's: when it was first counted.
disable_created_metrics()  # type: ignore[no-untyped-call]


def forget_cluster(name: str) -> None:
    """Drop every sample about a cluster that has left, or clusters that come and go would fill memory and /metrics.

    A member that is called as the hub shares its labels, which stay.
    """
    if name != HUB:
        for family in _ABOUT_CLUSTERS:
            family.forget(name)


def steps() -> Iterator[str]:
    """The text of /metrics, some milliseconds' work at a time."""
    yield generate_latest().decode()
    for family in (*_ABOUT_WORK, *_ABOUT_TYPES, *_ABOUT_CLUSTERS):
        yield from family.steps()
