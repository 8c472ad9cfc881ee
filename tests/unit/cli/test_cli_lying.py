"""Every verb against an address where no API server is, or one that answers nonsense: one clear error, no traceback."""

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from federation.cli import root

ANSWERS = {
    "html": (200, "text/html", "<html>Welcome to nginx</html>"),
    "list": (200, "application/json", "[1, 2]"),
    "null": (200, "application/json", "null"),
    "empty-object": (200, "application/json", "{}"),
    "half-json": (200, "application/json", '{"items": [{"met'),
    "wrong-types": (200, "application/json", '{"items": 3, "metadata": [], "paths": 1, "gitVersion": 7}'),
    "wrong-items": (200, "application/json", '{"items": [1, null], "kind": "APIGroupDiscoveryList"}'),
    "nameless": (200, "application/json", '{"items": [{}], "kind": "APIGroupDiscoveryList", "metadata": {"uid": 1}}'),
    "error-html": (500, "text/html", "<html>oh no</html>"),
    "redirect": (302, "text/html", ""),
    "unauthorized": (401, "text/plain", "Unauthorized"),
}
VERBS = {
    "init": ["init"],
    "init-server": ["init", "--dry-run=server"],
    "join": ["join", "east", "--cluster-context", "host"],
    "join-check": ["join", "east", "--cluster-context", "host", "--check-only"],
    "unjoin": ["unjoin", "east", "--cluster-context", "host", "--force"],
    "enable": ["enable", "configmaps"],
    "disable": ["disable", "configmaps", "--delete-crd"],
    "clusters": ["get", "clusters"],
    "cluster": ["get", "clusters", "east"],
    "types": ["get", "types", "-o", "wide"],
    "federated": ["get", "federated", "-A"],
    "status": ["status", "configmap", "a"],
    "plan": ["plan", "-f", str(Path(__file__).parents[3] / "docs" / "examples" / "hello.yaml")],
}


class Server(http.server.ThreadingHTTPServer):
    """Answers everything alike."""

    answer = ANSWERS["html"]
    daemon_threads = True


class Handler(http.server.BaseHTTPRequestHandler):
    def _answer(self) -> None:
        assert isinstance(self.server, Server)
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        code, kind, text = self.server.answer
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Location", "https://login.example.com/")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    do_GET = do_POST = do_PATCH = do_DELETE = _answer  # noqa: N815 (http.server's names)

    def log_message(self, *_: object) -> None:
        """Nothing: the test reads stderr."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    made = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture
def kubeconfig(server: Server, tmp_path: Path) -> str:
    path = tmp_path / "config"
    document = {
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_address[1]}"}}],
        "users": [{"name": "u", "user": {"token": "t0ken-canary"}}],
        "contexts": [{"name": "host", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "host",
    }
    path.write_text(yaml.safe_dump(document))
    return str(path)


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("verb", VERBS)
def test_one_clear_error(
    server: Server, kubeconfig: str, verb: str, answer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answer = ANSWERS[answer]
    code = root.run([*VERBS[verb], "--kubeconfig", kubeconfig])
    reported = capsys.readouterr()
    assert code in (1, 2), reported.err
    assert "error: " in reported.err
    assert "Traceback" not in reported.err
    assert "bug in fedctl" not in reported.err
    assert "<html>" not in reported.err
    assert "canary" not in reported.err + reported.out
    assert reported.out == ""
    hints = [line.split("--context ")[1] for line in reported.err.splitlines() if "kubectl --context " in line]
    assert all(hint.startswith("host ") for hint in hints), reported.err


@pytest.mark.parametrize("answer", ANSWERS)
def test_version_tells_its_own_all_the_same(
    server: Server, kubeconfig: str, answer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answer = ANSWERS[answer]
    assert root.run(["version", "--kubeconfig", kubeconfig]) == 0
    reported = capsys.readouterr()
    assert reported.out.startswith("fedctl ")
    assert "mistake" not in reported.err
