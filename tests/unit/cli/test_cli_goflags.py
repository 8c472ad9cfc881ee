"""kubefedctl's command lines: every flag of every verb of its, in every way in which Go's pflag lets it be written.

The table is kubefedctl's own (tests/unit/cli/kubefedctl.py): what it took is taken, and means the same.
"""

from collections.abc import Iterator
from typing import Any

import click
import pytest

from federation.cli import failing, goflags, root, unjoin
from federation.cli.options import Host
from federation.cli.verbs import Verb
from tests.unit.cli import kubefedctl

WORDS = {verb: list(facts.words) for verb, facts in kubefedctl.VERBS.items() if facts.words}
"""What each verb is about; all of it must arrive, wherever the flags stand."""
SHORT = {name: flag.short for facts in kubefedctl.VERBS.values() for name, flag in facts.flags if flag.short}
KEYS = {"host-cluster-context": "context", "skip-api-resources": "skip", "filename": "files"}
"""How a verb's function names what a flag gives."""


def flags(*kinds: str) -> list[tuple[str, str, kubefedctl.Flag]]:
    """Every flag of these kinds: verb, name, facts."""
    found = [(verb, name, flag) for verb, facts in kubefedctl.VERBS.items() for name, flag in facts.flags]
    return [(verb, name, flag) for verb, name, flag in found if flag.kind in kinds]


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Parse a whole command line: which verb would run, with what; nothing runs."""
    seen: list[tuple[str, dict[str, Any]]] = []

    def invoke(_: Verb, ctx: click.Context) -> None:
        params = dict(ctx.params)
        seen.append((ctx.command_path.partition(" ")[2], params))

    monkeypatch.setattr(Verb, "invoke", invoke)

    def parse(*line: str) -> tuple[str, dict[str, Any]]:
        seen.clear()
        code = root.run(line)
        assert code == 0, f"{line}: exit code {code}"
        return seen[0]

    return parse


def about(verb: str, params: dict[str, Any]) -> list[str]:
    """The words that the verb was given."""
    if "names" in params:
        return list(params["names"])
    return [params[key] for key in ("kind", "name") if key in params]


def forms(name: str, value: str) -> list[list[str]]:
    """Every way to give a flag a value."""
    found = [[f"--{name}", value], [f"--{name}={value}"], [f"--{name.replace('-', '_')}", value]]
    found += [[f"-{name}={value}"], [f"-{name}", value]]
    if name in SHORT:
        short = f"-{SHORT[name]}"
        found += [[short, value], [f"{short}={value}"], [f"{short}{value}"]]
    return found


@pytest.mark.parametrize(("verb", "name", "flag"), flags("text", "list"))
def test_a_flag_with_a_value(parsed: Any, verb: str, name: str, flag: kubefedctl.Flag) -> None:
    extra = ["--delete-crd"] if verb == "disable" else []
    words = [] if name == "filename" else WORDS[verb]
    for form in forms(name, flag.value):
        for line in (
            [*verb.split(), *words, *form, *extra],
            [*verb.split(), *form, *words, *extra],
            [*form, *verb.split(), *words, *extra],
            [verb.split(maxsplit=1)[0], *form, *verb.split()[1:], *words, *extra],
        ):
            path, params = parsed(*line)
            assert path == verb, line
            assert [each for each in about(verb, params) if each] == words, line
            given = params[KEYS.get(name, name.replace("-", "_"))]
            assert given in (flag.value, (flag.value,)), line


SWITCHES = [(verb, name) for verb, name, _ in flags("switch") if name != "dry-run"]


@pytest.mark.parametrize(("verb", "name"), SWITCHES)
@pytest.mark.parametrize(
    ("written", "means"),
    [("", True), ("=true", True), ("=1", True), ("=T", True), ("=False", False), ("=false", False), ("=0", False)],
)
def test_a_switch(parsed: Any, *, verb: str, name: str, written: str, means: bool) -> None:
    written_so = [f"--{name}{written}", f"--{name.replace('-', '_')}{written}", f"-{name}{written}"]
    written_so += [f"-{SHORT[name]}{written}"] if name in SHORT else []
    for flag in written_so:
        for line in ([verb, flag, *WORDS[verb]], [verb, *WORDS[verb], flag], [flag, verb, *WORDS[verb]]):
            _, params = parsed(*line)
            assert params[name.replace("-", "_")] is means, line
            assert about(verb, params) == WORDS[verb], line


@pytest.mark.parametrize(("verb", "name", "flag"), flags("text", "list", "switch"))
def test_the_default_of_a_flag(
    parsed: Any, capsys: pytest.CaptureFixture[str], verb: str, name: str, flag: kubefedctl.Flag
) -> None:
    _, params = parsed(*verb.split(), *WORDS[verb])
    given = params[KEYS.get(name, name.replace("-", "_"))]
    if flag.kind == "switch":
        assert bool(given) is (flag.default == "true")
    elif given not in (None, "", (), flag.default):
        pytest.fail(f"{verb} --{name} is {given!r} when it is not given")
    assert root.run([*verb.split(), "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert f" --{name}" in shown
    # Without --federated-group `disable --delete-crd` finds the CRD that is left by its target, in whatever group.
    assert flag.default in shown or flag.kind == "switch" or (verb, name) == ("disable", "federated-group")


def test_every_verb_and_every_flag_of_kubefedctl_is_known() -> None:
    for verb, facts in kubefedctl.VERBS.items():
        command: click.Command | None = root.fedctl
        for word in verb.split():
            assert isinstance(command, click.Group)
            command = command.get_command(click.Context(command, **command.context_settings), word)
        assert command is not None, verb
        known = {name for option in command.params for name in option.opts}
        wanted = {f"--{name}" for name, _ in facts.flags} | {f"-{flag.short}" for _, flag in facts.flags if flag.short}
        assert wanted <= known, verb
    assert {f"--{name}" for name in kubefedctl.KLOG} == set(goflags.KLOG)


@pytest.mark.parametrize("verb", ["init", "join", "disable"])
@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("5s", 5),
        ("1m30s", 90),
        ("1.5h", 5400),
        ("250ms", 0.25),
        ("+2m", 120),
        ("90", 90),
        ("2.5", 2.5),
        ("0", 0),
        ("0s", 0),
    ],
)
def test_a_duration_is_a_number_of_seconds_or_as_in_go(parsed: Any, verb: str, written: str, seconds: float) -> None:
    words = WORDS.get(verb, [])
    for line in ([verb, "--timeout", written, *words], [verb, *words, f"--timeout={written}"]):
        _, params = parsed(*line)
        assert params["timeout"] == pytest.approx(seconds)


@pytest.mark.parametrize("verb", ["init", "join", "disable"])
@pytest.mark.parametrize(
    "written", ["", "5x", "s", "-5s", "-1", "nan", "inf", "1e9", "1 m", "9" * 40, "9" * 400, "9999999h"]
)
def test_what_is_no_duration(verb: str, written: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert root.run([verb, *WORDS.get(verb, []), f"--timeout={written}"]) == failing.USAGE
    message = capsys.readouterr().err
    assert "--timeout" in message
    assert "duration" in message
    assert len(message) < 300


def options_of(group: click.Group) -> Iterator[click.Option]:
    """Every flag of every verb."""
    ctx = click.Context(group, **group.context_settings)
    for name in group.list_commands(ctx):
        verb = group.get_command(ctx, name)
        assert verb is not None
        yield from (each for each in verb.params if isinstance(each, click.Option))
        if isinstance(verb, click.Group):
            yield from options_of(verb)


def test_no_flag_takes_a_time_in_another_way() -> None:
    kinds = {(option.name, option.type.name) for option in options_of(root.fedctl)}
    assert {name for name, kind in kinds if kind == "duration"} == {"timeout", "since", "ttl"}
    assert {name for name, kind in kinds if "float" in kind} == set()


@pytest.mark.parametrize("verb", WORDS)
@pytest.mark.parametrize(
    ("written", "means"),
    [
        ("", "client"),
        ("=true", "client"),
        ("=TRUE", "client"),
        ("=1", "client"),
        ("=t", "client"),
        ("=client", "client"),
        ("=server", "server"),
        ("=none", ""),
        ("=false", ""),
        ("=F", ""),
        ("=0", ""),
    ],
)
def test_dry_run_of_every_verb(parsed: Any, verb: str, written: str, means: str) -> None:
    for flag in (f"--dry-run{written}", f"--dry_run{written}"):
        path, params = parsed(*verb.split(), flag, *WORDS[verb])
        assert (path, params["dry_run"], about(verb, params)) == (verb, means, WORDS[verb])


@pytest.mark.parametrize(
    ("written", "contents", "enable"),
    [
        (["-ct"], True, True),
        (["-tc"], True, True),
        (["-c", "-t"], True, True),
        (["-t"], False, True),
        (["-c"], True, False),
        (["-ct=false"], True, False),
        (["-t=true", "-c=false"], False, True),
        (["-tnshop"], False, True),
        (["-ctn", "shop"], True, True),
        (["-ctn=shop"], True, True),
    ],
)
def test_grouped_short_flags(parsed: Any, written: list[str], contents: bool, enable: bool) -> None:
    for line in ([*written, "ns", "shop"], ["ns", *written, "shop"], ["ns", "shop", *written]):
        _, params = parsed("federate", *line)
        assert (params["kind"], params["name"]) == ("ns", "shop")
        assert (params["contents"], params["enable_type"]) == (contents, enable)
        assert params["namespace"] == ("shop" if "n" in "".join(written).replace("enable", "") else "")


@pytest.mark.parametrize("verb", [*WORDS, "version"])
@pytest.mark.parametrize(
    "flag",
    [
        ["-v", "2"],
        ["-v=2"],
        ["-v2"],
        ["--v", "2"],
        ["--v=2"],
        ["--v", "10"],
        *([name] if bare else [name, "x"] for name, bare in goflags.KLOG.items()),
        *([name[1:]] if bare else [name[1:], "x"] for name, bare in goflags.KLOG.items()),
        *([f"{name}=false" if bare else f"{name}=x"] for name, bare in goflags.KLOG.items()),
        *(
            [name.replace("-", "_").replace("__", "--", 1), *([] if bare else ["x"])]
            for name, bare in goflags.KLOG.items()
        ),
    ],
    ids=" ".join,
)
def test_klogs_flags(parsed: Any, verb: str, flag: list[str]) -> None:
    words = WORDS.get(verb, [])
    for line in (
        [*verb.split(), *words, *flag],
        [*verb.split(), *flag, *words],
        [*flag, *verb.split(), *words],
    ):
        path, params = parsed(*line)
        assert (path, about(verb, params)) == (verb, words), line


def test_klogs_flags_are_said_to_do_nothing(parsed: Any, capsys: pytest.CaptureFixture[str]) -> None:
    parsed("join", "east", "--logtostderr", "--stderrthreshold=2", "--log_dir", "logs")
    message = capsys.readouterr().err
    assert message.startswith("note: --logtostderr, --stderrthreshold, --log-dir: accepted as by kubefedctl")


@pytest.mark.parametrize(
    ("line", "path"),
    [
        # from KubeFed's README, user guide and scripts, word for word
        ("-n federate-me federate configmap my-cm", "federate"),
        ("join cluster1 --cluster-context cluster1 --host-cluster-context cluster1 --v=2", "join"),
        ("unjoin cluster2 --cluster-context cluster2 --host-cluster-context cluster1 --v=2", "unjoin"),
        ("join c1 --host-cluster-context c1 --v=2 --kubefed-namespace=ns --error-on-existing=false", "join"),
        ("federate ns t --contents --skip-api-resources pods,secrets,serviceaccounts,replicasets", "federate"),
        ("federate namespace my-namespace --contents --skip-api-resources configmaps,apps", "federate"),
        ("federate configmap my-configmap --enable-type", "federate"),
        ("federate --filename ./my-file", "federate"),
        ("enable deployments.example.com --federated-group kubefed.example.com", "enable"),
        ("enable customresourcedefinitions --output=yaml", "enable"),
        ("--kubeconfig /x enable -f file.yaml --kubefed-namespace=ns --host-cluster-context h -o yaml", "enable"),
        ("enable -f=file.yaml -o=yaml", "enable"),
        ("disable deployments.apps --delete-crd --federated-group g.example.com --version v1", "disable"),
        (
            "orphaning-deletion enable FederatedDeployment foo --host-cluster-context=cluster1",
            "orphaning-deletion enable",
        ),
        ("--kubeconfig join join join --host-cluster-context unjoin", "join"),
        ("--dry-run join east", "join"),
        ("--dry_run=true join east", "join"),
        ("version --kubeconfig x", "version"),
    ],
)
def test_lines_of_kubefeds_documents(parsed: Any, line: str, path: str) -> None:
    assert parsed(*line.split())[0] == path


def test_global_flags_reach_the_verb(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Host] = []

    async def instead(host: Host, *_: Any, **__: Any) -> None:
        seen.append(host)

    monkeypatch.setattr(unjoin, "_unjoin", instead)
    line = ["--kubeconfig=x", "--host_cluster_context", "y", "unjoin", "east", "--kubefed-namespace=z"]
    assert root.run(line) == 0
    assert seen == [Host("x", "y", "z")]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param(["join", "east", "--cluster-context"], "--cluster-context needs a value", id="no-value"),
        pytest.param(["federate", "ns", "x", "-cx"], "no such option: -x in -cx", id="unknown-in-a-group"),
        pytest.param(["federate", "ns", "x", "-t=maybe"], "'maybe' is not a valid boolean", id="no-boolean"),
        pytest.param(["join", "e", "--dry-run=perhaps"], "'perhaps' is not one of", id="no-dry-run"),
        pytest.param(["--kubeconfig", "x", "jion", "east"], "did you mean 'join'", id="verb-behind-flags"),
        pytest.param(["help", "jion"], "did you mean 'join'", id="help-of-nothing"),
        pytest.param(["help", "join", "east"], "fedctl join has no commands of its own", id="help-too-far"),
        pytest.param(["disable", "x", "--version", "v1"], "are for use with --delete-crd", id="version-alone"),
    ],
)
def test_what_cannot_be_read_is_wrong_usage(line: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert root.run(line) == failing.USAGE
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "begins"),
    [
        (["help"], "Usage: fedctl [OPTIONS] COMMAND"),
        (["help", "join"], "Usage: fedctl join"),
        (["join", "--help"], "Usage: fedctl join"),
        (["--help", "join"], "Usage: fedctl [OPTIONS] COMMAND"),
        (["--kubeconfig", "x", "join", "-h"], "Usage: fedctl join"),
        (["help", "orphaning-deletion", "enable"], "Usage: fedctl orphaning-deletion enable"),
        (["orphaning-deletion", "enable", "--help"], "Usage: fedctl orphaning-deletion enable"),
    ],
    ids=" ".join,
)
def test_help(line: list[str], begins: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert root.run(line) == 0
    assert capsys.readouterr().out.startswith(begins)


@pytest.mark.parametrize(
    ("flags", "shown"),
    [([], False), (["--v=2"], False), (["-v", "2"], False), (["-v=5"], False), (["-v"], True), (["--v=6"], True)],
    ids=str,
)
def test_from_which_level_an_error_shows_its_traceback(
    flags: list[str], shown: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert root.run(["get", "clusters", "--kubeconfig", "/nowhere", *flags]) == failing.USAGE
    assert ("Traceback" in capsys.readouterr().err) is shown


def test_a_mistake_of_ours_shows_its_traceback_with_any_v(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise RuntimeError("bug")
    except RuntimeError as error:
        failing.report(error, name="fedctl", verbose=1)
    assert "Traceback" in capsys.readouterr().err
