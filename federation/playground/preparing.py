"""Create and read the files of a playground, and end what is left of one.

Called by `clusters`; `starting` and `simulating` start the processes.
"""

import secrets
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

import msgspec

from federation.playground import layout, processes
from federation.playground.access import LocalCluster
from federation.playground.errors import PlaygroundError
from federation.playground.layout import APISERVER, MANY, ClusterFiles, ClusterRecord, Layout, Record


def read_clusters(files: Layout, record: Record, names: Iterable[str]) -> dict[str, LocalCluster]:
    """Clusters, from their files and their running processes."""
    many: _Server | None = None
    found = {}
    for name in names:
        cluster = record.clusters[name]
        if cluster.shape == "many":
            server = many = many or _read(files, files.many, MANY, "the simulated members")
        else:
            server = _read(files, files.cluster(name), APISERVER, f"cluster {name}")
        found[name] = LocalCluster(
            name=name,
            url=f"https://127.0.0.1:{cluster.port}",
            token=server.token,
            ca_pem=server.ca_pem,
            apiserver_pid=server.pid,
        )
    return found


class _Server(NamedTuple):
    token: str
    ca_pem: str
    pid: int | None


def _read(files: Layout, own: ClusterFiles, process: str, whose: str) -> _Server:
    running = processes.find(own.pid(process))
    try:
        token, ca_pem = own.tokens.read_text().partition(",")[0], files.ca_certificate.read_text()
    except OSError as error:
        raise PlaygroundError(
            f"the playground in {files.directory} has lost files of {whose} ({error}): "
            "take it down and bring it up again"
        ) from error
    return _Server(token, ca_pem, running.pid if running else None)


def sweep(files: Layout) -> int:
    """End every process of the playground, found by pid file or, if that is lost, by its mark; returns how many."""
    pid_files = list(files.directory.glob("**/*.pid")) if files.directory.is_dir() else []
    known = [process for each in pid_files if (process := processes.find(each))]
    lost = [each for each in processes.strays(str(files.directory)) if each not in known]
    processes.stop([*known, *lost], grace=0)
    return len(known) + len(lost)


def prepare(files: Layout, names: Sequence[str], managers: Collection[str], simulated: Sequence[str] = ()) -> Record:
    """Create the files of new clusters; returns the record of all clusters.

    `names` are real clusters, `simulated` are members that share one API server. Raises PlaygroundError for a name that
    exists in the other shape. Without a record nothing in the directory is used: its processes are ended and its files
    removed.
    """
    record = layout.load(files)
    _refuse_reshaping(record, names, simulated)
    if record is None:
        sweep(files)
        layout.clear(files)
        files.directory.mkdir(parents=True, mode=0o700)
        from federation.playground import pki  # noqa: PLC0415 - it imports cryptography

        ca = pki.authority("federation playground")
        layout.write(files.ca_certificate, ca.certificate)
        layout.write(files.ca_key, ca.key)
        record = Record(etcd_port=0, clusters={})
    clusters = dict(record.clusters)
    for name in names:
        if name not in clusters:
            _make_files(files, files.cluster(name), name)
            clusters[name] = ClusterRecord(port=0, controller_manager=False)
        if name in managers:
            clusters[name] = msgspec.structs.replace(clusters[name], controller_manager=True)
    if simulated and not files.many.tokens.exists():
        _make_files(files, files.many, "many")
    for name in simulated:
        clusters.setdefault(name, ClusterRecord(port=0, controller_manager=False, shape="many"))
    record = msgspec.structs.replace(record, clusters=clusters)
    layout.save(files, record)
    return record


def _refuse_reshaping(record: Record | None, names: Sequence[str], simulated: Sequence[str]) -> None:
    real, many = (set(record.names(shape)) if record else set() for shape in ("real", "many"))
    for name in [*(many & set(names)), *((real | set(names)) & set(simulated))]:
        what = "a simulated member" if name in many else "a real cluster"
        raise PlaygroundError(
            f"{name} is {what} of this playground: choose another name, or take the playground down first"
        )


def _make_files(files: Layout, own: ClusterFiles, name: str) -> None:
    from federation.playground import pki  # noqa: PLC0415 - it imports cryptography

    ca = pki.KeyPair(files.ca_certificate.read_bytes(), files.ca_key.read_bytes())
    dns = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
    serving = pki.serving(ca, name, dns=dns, ips=("127.0.0.1", "10.0.0.1"))
    private, public = pki.signing_key()
    for path, content in (
        (own.certificate, serving.certificate),
        (own.key, serving.key),
        (own.token_key, private),
        (own.token_public_key, public),
        (own.tokens, f'{secrets.token_urlsafe(32)},playground-admin,playground-admin,"system:masters"\n'.encode()),
    ):
        layout.write(path, content)
