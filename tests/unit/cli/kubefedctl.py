"""kubefedctl's command line as facts: `--help` of every verb of KubeFed v0.10, and what it did when run."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Flag:
    """One flag: its short name, what it takes, its default as the help shows it ("": none), and a value to try."""

    kind: Literal["text", "switch", "list"] = "text"
    short: str = ""
    default: str = ""
    value: str = "x"


@dataclass(frozen=True)
class Verb:
    """One verb: the words it is given, and its flags."""

    words: tuple[str, ...] = ()
    flags: tuple[tuple[str, Flag], ...] = ()


HOST = (
    ("kubeconfig", Flag(value="path")),
    ("host-cluster-context", Flag(value="h")),
    ("kubefed-namespace", Flag(default="kube-federation-system", value="ns")),
    ("dry-run", Flag("switch", default="false")),
)
"""Of every verb but version. Those of orphaning-deletion accept the last two, which their help does not show."""
MEMBER = (("cluster-context", Flag(value="c")), ("host-cluster-name", Flag(value="h")))
TARGET = (("federated-group", Flag(default="types.kubefed.io", value="g.x")), ("version", Flag(value="v1")))
NAMESPACE = (("namespace", Flag(short="n", value="n")),)
OUTPUT = (("output", Flag(short="o", value="yaml")),)
FILENAME = (("filename", Flag(short="f", value="file.yaml")),)
ORPHANING = Verb(("deployment", "web"), HOST + NAMESPACE)

VERBS = {
    "join": Verb(
        ("east",),
        (
            *HOST,
            *MEMBER,
            ("secret-name", Flag(value="s")),
            ("error-on-existing", Flag("switch", default="true")),
        ),
    ),
    "unjoin": Verb(("east",), (*HOST, *MEMBER, ("force", Flag("switch", default="false")))),
    "enable": Verb(
        ("deployments.apps",),
        (*HOST, *TARGET, ("federated-version", Flag(default="v1beta1", value="v1")), *FILENAME, *OUTPUT),
    ),
    "disable": Verb(("deployments.apps",), (*HOST, *TARGET, ("delete-crd", Flag("switch", default="false")))),
    "federate": Verb(
        ("deployment", "web"),
        (
            *HOST,
            *NAMESPACE,
            *OUTPUT,
            *FILENAME,
            ("enable-type", Flag("switch", short="t", default="false")),
            ("contents", Flag("switch", short="c", default="false")),
            ("skip-api-resources", Flag("list", short="s", value="a,b")),
        ),
    ),
    "orphaning-deletion enable": ORPHANING,
    "orphaning-deletion disable": ORPHANING,
    "orphaning-deletion status": ORPHANING,
    "version": Verb(),
}
"""Besides `help [command]`, and -h and --help everywhere."""

GROUPS = ("", "orphaning-deletion")
"""Without a verb these print their help on stdout, and end with 0."""

KLOG = {
    "add-dir-header": Flag("switch"),
    "alsologtostderr": Flag("switch"),
    "log-backtrace-at": Flag(value=":0"),
    "log-dir": Flag(),
    "log-file": Flag(),
    "log-file-max-size": Flag(value="1800"),
    "log-flush-frequency": Flag(value="5s"),
    "logtostderr": Flag("switch"),
    "one-output": Flag("switch"),
    "skip-headers": Flag("switch"),
    "skip-log-headers": Flag("switch"),
    "stderrthreshold": Flag(value="2"),
    "vmodule": Flag(value="a=1"),
}
"""The global flags besides -v, --v; each may be written with `_`, too."""

CODES = (
    (("--bogus",), 1),
    (("bogus",), 1),
    (("join", "--bogus"), 1),
    (("join", "east", "-x"), 1),
    (("join", "east", "--v=abc"), 1),
    (("join", "east", "--dry-run=perhaps"), 1),
    (("join", "east", "--cluster-context"), 1),
    (("options",), 1),
    (("join",), 255),
    (("unjoin",), 255),
    (("enable",), 255),
    (("federate", "configmap"), 255),
    (("enable", "-o", "xml", "configmaps"), 255),
    (("federate", "-f", "file.yaml", "configmap"), 255),
    (("disable", "configmaps.x", "--version", "v1"), 255),
    (("enable", "--kubeconfig", "/nowhere", "deployments.apps"), 255),
    (("orphaning-deletion", "status", "deployment"), 255),
    (("join", "-h"), 0),
    (("help", "join"), 0),
    (("version",), 0),
)
"""Command lines that ask no cluster, and the exit code of each."""
