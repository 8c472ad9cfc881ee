"""The files of a playground before anything starts, and what is left of one: made, read, swept.

Called by `clusters`; `starting` starts what is described here.
"""

import secrets
from collections.abc import Collection, Sequence

import msgspec

from federation.playground import layout, processes
from federation.playground.access import LocalCluster
from federation.playground.errors import PlaygroundError
from federation.playground.layout import APISERVER, MANAGER, ClusterRecord, Layout, Record


def read_cluster(files: Layout, name: str, record: ClusterRecord) -> LocalCluster:
    """A cluster as its files and the kernel show it now."""
    own = files.cluster(name)
    apiserver, manager = (processes.find(own.pid(each)) for each in (APISERVER, MANAGER))
    try:
        token = own.tokens.read_text().partition(",")[0]
        ca_pem = files.ca_certificate.read_text()
    except OSError as error:
        raise PlaygroundError(
            f"the playground in {files.directory} has lost files of cluster {name} ({error}): "
            "take it down and bring it up again"
        ) from error
    return LocalCluster(
        name=name,
        url=f"https://127.0.0.1:{record.port}",
        token=token,
        ca_pem=ca_pem,
        apiserver_pid=apiserver.pid if apiserver else None,
        controller_manager_pid=manager.pid if manager else None,
    )


def sweep(files: Layout) -> int:
    """End every process of the playground, found by pid file or, where that was lost, by its mark; returns how many."""
    pid_files = list(files.directory.glob("**/*.pid")) if files.directory.is_dir() else []
    known = [process for each in pid_files if (process := processes.find(each))]
    lost = [each for each in processes.strays(str(files.directory)) if each not in known]
    processes.stop([*known, *lost], grace=0)
    return len(known) + len(lost)


def prepare(files: Layout, names: Sequence[str], managers: Collection[str]) -> Record:
    """Make the files of clusters that are new, and return the record that holds old and new.

    Without a record nothing of the directory can be trusted: what runs there is ended, what lies there removed.
    """
    record = layout.load(files)
    if record is None:
        sweep(files)
        layout.clear(files)
        files.directory.mkdir(parents=True, mode=0o700)
        from federation.playground import pki  # noqa: PLC0415 - cryptography, only for what is made anew

        ca = pki.authority("federation playground")
        layout.write(files.ca_certificate, ca.certificate)
        layout.write(files.ca_key, ca.key)
        record = Record(etcd_port=0, clusters={})
    clusters = dict(record.clusters)
    for name in names:
        if name not in clusters:
            _make_files(files, name)
            clusters[name] = ClusterRecord(port=0, controller_manager=False)
        if name in managers:
            clusters[name] = msgspec.structs.replace(clusters[name], controller_manager=True)
    record = msgspec.structs.replace(record, clusters=clusters)
    layout.save(files, record)
    return record


def _make_files(files: Layout, name: str) -> None:
    from federation.playground import pki  # noqa: PLC0415 - cryptography, only for what is made anew

    own = files.cluster(name)
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
