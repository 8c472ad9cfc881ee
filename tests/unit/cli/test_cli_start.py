"""What every command line shares: quick start, help, flags in Go's manner, errors and exit codes."""

import subprocess
import sys
from pathlib import Path

import click
import pytest

from federation.cli import failing, options, root
from federation.cli.goflags import GoFlag
from federation.cli.verbs import LazyGroup, Verb
from federation.model.errors import ApiFailure, Invalid, Unusable
from federation.model.failures import Failure, FailureKind
from typegen import cli

HEAVY = (
    "aiohttp",
    "httptools",
    "kubernetes_asyncio",
    "yaml",
    "jinja2",
    "rich",
    "orjson",
    "msgspec",
    "asyncio",
    "ssl",
    "cryptography",
)


def modules_after(*arguments: str) -> set[str]:
    """The modules that a process has imported when this command line is done."""
    program = (
        "import sys; from federation.cli import root\n"
        f"code = root.run({list(arguments)!r})\n"
        "print(code, *sorted(sys.modules), file=sys.stderr)"
    )
    ran = subprocess.run(  # noqa: S603 (our own interpreter and words)
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    code, *modules = ran.stderr.split()
    assert code == "0"
    return set(modules)


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["--help"], id="help"),
        pytest.param(["-h"], id="h"),
        pytest.param(["--version"], id="version"),
        pytest.param(["playground", "--help"], id="playground"),
        pytest.param(["get", "-h"], id="get"),
        pytest.param(["join", "-h"], id="join"),
        pytest.param(["controller", "run", "-h"], id="controller"),
        pytest.param(["completion", "bash"], id="completion"),
    ],
)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    """The promise of 150 ms as what costs the time: these packages together take over a second."""
    assert not modules_after(*arguments) & set(HEAVY)


def test_help_imports_no_verb() -> None:
    modules = modules_after("--help")
    assert not {f"federation.cli.{verb}" for verb in root.VERBS} & modules


def commands(group: click.Command, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], click.Command]]:
    """Every command below a group."""
    if not isinstance(group, LazyGroup):
        return [(path, group)]
    found: list[tuple[tuple[str, ...], click.Command]] = [(path, group)]
    context = click.Context(group, **group.context_settings)  # or what help shows is kept without -h
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        found += commands(command, (*path, name))
    return found


ALL = commands(root.fedctl)


@pytest.mark.parametrize(("path", "command"), ALL, ids=[" ".join(path) or "fedctl" for path, _ in ALL])
def test_every_help_has_examples_that_parse(path: tuple[str, ...], command: click.Command) -> None:
    examples = getattr(command, "examples", "")
    lines = [line.strip() for line in examples.splitlines()]
    assert lines
    for line in lines:
        words = line.partition("  #")[0].partition(" >")[0].replace("source <(", "").replace(")", "").split()
        if words[0] != "fedctl":
            continue
        found: click.Command | None = root.fedctl
        rest = words[1:]
        while isinstance(found, LazyGroup) and rest and not rest[0].startswith("-"):
            found = found.get_command(click.Context(found, **found.context_settings), rest[0])
            rest = rest[1:]
        assert found is not None, line
        found.make_context("fedctl", list(rest), resilient_parsing=False)


def test_every_command_ends_with_its_own_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert root.run(["--help"]) == 0
    assert root.run(["nonsense"]) == 2
    assert root.run(["join"]) == 2
    assert root.run(["enable"]) == 2
    assert root.run(["completion", "powershell"]) == 2
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "near"),
    [
        pytest.param(["jion", "x"], "'join'", id="verb"),
        pytest.param(["get", "cluster"], "'clusters'", id="noun"),
        pytest.param(["join", "x", "--cluster-contxt", "y"], "--cluster-context", id="flag"),
    ],
)
def test_did_you_mean(typed: list[str], near: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert root.run(typed) == failing.USAGE
    message = capsys.readouterr().err.lower()
    assert "did you mean" in message
    assert near in message


# -- flags -----------------------------------------------------------------------------------------------------------


@click.command("probe", cls=Verb)
@click.argument("names", nargs=-1)
@options.dry_run
@options.switch("--error-on-existing", default=True, text="")
def probe(*, names: tuple[str, ...], dry_run: str, error_on_existing: bool) -> None:
    """A verb that prints what it was given."""
    click.echo(f"{','.join(names)}|{dry_run}|{error_on_existing}")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param([], "||True", id="defaults"),
        pytest.param(["--dry-run", "east"], "east|client|True", id="bare-takes-no-argument"),
        pytest.param(["east", "--dry-run"], "east|client|True", id="bare-at-the-end"),
        pytest.param(["--dry-run=client"], "|client|True", id="client"),
        pytest.param(["--dry-run=server"], "|server|True", id="server"),
        pytest.param(["--dry-run=none"], "||True", id="none"),
        pytest.param(["--dry-run=true"], "|client|True", id="kubefedctls-true"),
        pytest.param(["--dry-run=false"], "||True", id="kubefedctls-false"),
        pytest.param(["--error-on-existing=false"], "||False", id="false"),
        pytest.param(["--error-on-existing"], "||True", id="bare-switch"),
        pytest.param(["--", "--dry-run"], "--dry-run||True", id="after-dashes"),
        pytest.param(["--v=2", "east"], "east||True", id="klogs-v"),
    ],
)
def test_flags_as_kubefedctls_users_write_them(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    probe.main(arguments, standalone_mode=False)
    assert capsys.readouterr().out == f"{expected}\n"


def test_go_flag_is_in_use_where_kubefedctl_has_booleans() -> None:
    found = {
        (path[0], name)
        for path, command in ALL
        for param in command.params
        if isinstance(param, GoFlag)
        for name in param.opts
    }
    assert found >= {
        ("join", "--error-on-existing"),
        ("join", "--dry-run"),
        ("unjoin", "--force"),
        ("unjoin", "--dry-run"),
        ("enable", "--dry-run"),
        ("disable", "--delete-crd"),
        ("disable", "--dry-run"),
    }


# -- errors ----------------------------------------------------------------------------------------------------------


def failure(kind: FailureKind) -> ApiFailure:
    return ApiFailure(Failure(kind, "no"), "east: get namespace kube-system")


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        pytest.param(Invalid("a.yaml:3", "unknown field"), 2, "error: a.yaml:3: unknown field", id="input"),
        pytest.param(Unusable("no context"), 2, "error: no context", id="kubeconfig"),
        pytest.param(failure(FailureKind.UNREACHABLE), 1, "next: check whether the API server answers", id="away"),
        pytest.param(failure(FailureKind.RIGHT_MISSING), 1, "next: ask an admin", id="right"),
        pytest.param(failure(FailureKind.UNAUTHORIZED), 1, "kubectl --context east auth whoami", id="login"),
        pytest.param(KeyboardInterrupt(), 130, "interrupted", id="ctrl-c"),
        pytest.param(click.Abort(), 130, "interrupted", id="click-ctrl-c"),
        pytest.param(failing.Partly("some failed"), 3, "error: some failed", id="partly"),
        pytest.param(RuntimeError("bug"), 1, "error: RuntimeError: bug", id="bug"),
    ],
)
def test_errors_end_in_one_line_and_a_code(
    error: BaseException, code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert failing.report(error, name="fedctl", verbose=0) == code
    reported = capsys.readouterr()
    assert message in reported.err
    assert "Traceback" not in reported.err
    assert reported.out == ""


@pytest.mark.parametrize("arguments", [[], ["get"], ["playground"]], ids=["fedctl", "get", "playground"])
def test_nothing_said_is_answered_with_the_help(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert root.run(arguments) == 2
    reported = capsys.readouterr()
    assert reported.err.startswith("Usage: fedctl")
    assert reported.out == ""


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        pytest.param(b"kind: Config\nusers:\n\t- x\n", ":3: not a kubeconfig: a tab where YAML needs spaces", id="tab"),
        pytest.param(b"\t", ":1: not a kubeconfig: a tab where YAML needs spaces", id="tab-alone"),
        pytest.param(b"a: [b\n", ":2: not a kubeconfig: did not find expected", id="half"),
        pytest.param(b"a: b\n---\nc: d\n", ":3: not a kubeconfig: more than one document", id="two-documents"),
        pytest.param(b"\xff\xfe\xfd", ": not a kubeconfig: ", id="not-text"),
        pytest.param(b"", ": not a kubeconfig: not a map of fields", id="empty"),
    ],
)
def test_a_kubeconfig_that_is_no_yaml(
    content: bytes, wanted: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config"
    path.write_bytes(content)
    assert root.run(["get", "clusters", "--kubeconfig", str(path)]) == 2
    assert f"error: {path}{wanted}" in capsys.readouterr().err


def test_v_shows_the_traceback(capsys: pytest.CaptureFixture[str], tmp_path: object) -> None:
    arguments = ["get", "clusters", "--kubeconfig", f"{tmp_path}/none"]
    assert root.run(arguments) == 2
    assert "Traceback" not in capsys.readouterr().err
    assert root.run([*arguments, "-v"]) == 2
    assert "Traceback" in capsys.readouterr().err


# -- typegen -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        pytest.param(["write", "--nonsense"], "error: no such option '--nonsense'", id="flag"),
        pytest.param(["wirte"], "error: no such command 'wirte'; did you mean 'write'?", id="command"),
        pytest.param(["write", "/nowhere"], "error: /nowhere: cannot be read: No such file or directory", id="file"),
    ],
)
def test_typegens_errors_look_like_fedctls(line: list[str], wanted: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(line)
    assert ended.value.code == failing.USAGE
    message = capsys.readouterr().err
    assert message.lower().startswith(wanted.lower())
    assert "Usage:" not in message
