"""A kubelet as far as `logs` needs one: an https server on 127.0.0.1 that a Node names, so that kube-apiserver asks it.

Nothing runs. `bind` gives a Pod to its Node and says that the containers run; what a test writes is their log. A stream
that is followed stays open until the container is restarted, or `cut` breaks it; like a real kubelet, it sends not even
its headers before there is a line.
"""

import datetime as dt
import http.server
import ssl
import threading
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from federation.kube.connection import JSON, MERGE_PATCH, expect
from federation.model.resources import NODES, PODS, ObjectName
from federation.playground import pki
from tests.clusters.harness import Api

Key = tuple[str, str, str]
Line = tuple[dt.datetime, str]


@dataclass
class Log:
    """One container's: `lines` of its present instance, `previous` of the one before."""

    lines: list[Line] = field(default_factory=list)
    previous: list[Line] = field(default_factory=list)
    instance: int = 0
    cuts: int = 0


class Kubelet:
    """Use as a context manager, then `join` it to a cluster."""

    def __init__(self, name: str, directory: Path) -> None:
        self.name = name
        self.asked: list[str] = []
        """The queries of all requests for logs."""
        self._logs: dict[Key, Log] = {}
        self._changed = threading.Condition()
        self._ended = False
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        made = pki.serving(pki.authority(name), name, dns=(name,), ips=("127.0.0.1",))
        certificate, key = directory / f"{name}.crt", directory / f"{name}.key"
        certificate.write_bytes(made.certificate)
        key.write_bytes(made.key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def __enter__(self) -> "Kubelet":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        self._server.shutdown()
        self._server.server_close()

    # --- the cluster's side ---------------------------------------------------------------------------------------

    async def join(self, api: Api) -> None:
        """Make its Node."""
        node = {
            "metadata": {"name": self.name},
            "status": {
                "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
                "daemonEndpoints": {"kubeletEndpoint": {"Port": self.port}},
            },
        }
        await api.create(NODES, node)

    async def bind(self, api: Api, namespace: str, pod: str) -> None:
        """Give it a Pod, whose containers run from then on."""
        path = f"{PODS.path(ObjectName(namespace, pod))}/binding"
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": pod, "namespace": namespace},
            "target": {"apiVersion": "v1", "kind": "Node", "name": self.name},
        }
        expect(await api.connection.request("POST", path, body=orjson.dumps(binding), content_type=JSON), path)
        await self.show(api, namespace, pod)

    async def show(self, api: Api, namespace: str, pod: str, *, phase: str = "Running") -> None:
        """Write the Pod's status as it is now."""
        found = await api.get(PODS, namespace, pod)
        assert found is not None
        statuses = []
        for each in found["spec"]["containers"]:
            instance = self._log((namespace, pod, each["name"])).instance
            state = {"running": {}} if phase == "Running" else {"terminated": {"exitCode": 0}}
            identity = f"fake://{pod}-{each['name']}-{instance}"
            statuses.append(
                {
                    "name": each["name"],
                    "image": each["image"],
                    "imageID": "",
                    "ready": phase == "Running",
                    "restartCount": instance,
                    "containerID": identity,
                    "state": state,
                }
            )
        path = f"{PODS.path(ObjectName(namespace, pod))}/status"
        body = orjson.dumps({"status": {"phase": phase, "containerStatuses": statuses}})
        expect(await api.connection.request("PATCH", path, body=body, content_type=MERGE_PATCH), path)

    # --- the containers' side --------------------------------------------------------------------------------------

    def write(
        self, namespace: str, pod: str, *lines: str, container: str = "app", at: dt.datetime | None = None
    ) -> None:
        """Add lines to a container's log."""
        with self._changed:
            log = self._log((namespace, pod, container))
            log.lines += [(at or dt.datetime.now(dt.UTC), line) for line in lines]
            self._changed.notify_all()

    def restart(self, namespace: str, pod: str, *, container: str = "app") -> None:
        """The container ends, and another instance begins."""
        with self._changed:
            log = self._log((namespace, pod, container))
            log.previous, log.lines = log.lines, []
            log.instance += 1
            self._changed.notify_all()

    def cut(self) -> None:
        """Break every stream that is followed."""
        with self._changed:
            for log in self._logs.values():
                log.cuts += 1
            self._changed.notify_all()

    def _log(self, key: Key) -> Log:
        return self._logs.setdefault(key, Log())

    # --- kube-apiserver's requests ---------------------------------------------------------------------------------

    def stream(self, key: Key, query: dict[str, str]) -> Iterator[bytes]:
        """The lines that a request asks for, each as it is sent."""
        with self._changed:
            log = self._log(key)
            instance, cuts = log.instance, log.cuts
            lines = log.previous if query.get("previous") == "true" else log.lines
            chosen = [line for line in lines if _is_since(line, query)]
            if "tailLines" in query:
                chosen = chosen[max(0, len(chosen) - int(query["tailLines"])) :]
            shown = len(lines)
        for line in chosen:
            yield _sent(line, query)
        while query.get("follow") == "true":
            with self._changed:
                fresh = log.lines[shown:] if log.instance == instance else log.previous[shown:]
                if not fresh:
                    if self._ended or log.instance != instance or log.cuts != cuts:
                        return
                    self._changed.wait(0.5)
                    continue
                shown += len(fresh)
            for line in fresh:
                yield _sent(line, query)


def _is_since(line: Line, query: dict[str, str]) -> bool:
    if "sinceTime" in query:
        return line[0] >= dt.datetime.fromisoformat(query["sinceTime"])
    if "sinceSeconds" in query:
        return line[0] >= dt.datetime.now(dt.UTC) - dt.timedelta(seconds=int(query["sinceSeconds"]))
    return True


def _sent(line: Line, query: dict[str, str]) -> bytes:
    stamp = line[0].strftime("%Y-%m-%dT%H:%M:%S.%f000Z ") if query.get("timestamps") == "true" else ""
    return f"{stamp}{line[1]}\n".encode()


def _handler(kubelet: Kubelet) -> Any:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urllib.parse.urlsplit(self.path)
            words = parts.path.strip("/").split("/")
            if len(words) != 4 or words[0] != "containerLogs":
                self.send_error(404)
                return
            kubelet.asked.append(parts.query)
            began = False
            for piece in kubelet.stream((words[1], words[2], words[3]), dict(urllib.parse.parse_qsl(parts.query))):
                if not began:
                    self._begin()
                    began = True
                try:
                    self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
                    self.wfile.flush()
                except OSError:
                    return
            if not began:
                self._begin()
            self.wfile.write(b"0\r\n\r\n")

        def _begin(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    return Handler
