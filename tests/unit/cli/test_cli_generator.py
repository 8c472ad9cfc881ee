"""`typegen --context`: the cluster is read by our own client, and no key of the kubeconfig reaches a disk."""

import asyncio
import base64
import json
import tempfile
from pathlib import Path
from typing import Any, NoReturn

import pytest
from aiohttp import web
from click.testing import CliRunner

from federation.cli import generator
from federation.playground import pki
from tests.unit.kube.servers import serving
from tests.unit.kube.test_transport import authority, server_tls
from typegen import cli, cluster, model

CLIENT = pki.client(authority(), "typegen")


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


@pytest.fixture
def kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config"
    monkeypatch.setenv("KUBECONFIG", str(path))
    return path


@pytest.fixture
def no_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever makes a temporary file fails, whether or not it is removed."""
    server_tls()  # which makes one

    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("a temporary file")

    for name in ("mkstemp", "mkdtemp", "NamedTemporaryFile", "TemporaryFile", "TemporaryDirectory"):
        monkeypatch.setattr(tempfile, name, refuse)


def write(path: Path, server: str, **user: Any) -> None:
    name = {"name": "hub"}
    at = {"server": server, "certificate-authority-data": b64(authority().certificate)}
    path.write_text(
        json.dumps(
            {
                "contexts": [{**name, "context": {"cluster": "hub", "user": "hub"}}],
                "clusters": [{**name, "cluster": at}],
                "users": [{**name, "user": user}],
            }
        )
    )


async def crds(request: web.BaseRequest) -> web.Response:
    assert request.headers["Authorization"] == "Bearer abc"
    more = {"continue": "x"} if "continue" not in request.query else {}
    name = "b.example.com" if request.query.get("continue") else "a.example.com"
    return web.json_response({"metadata": more, "items": [{"metadata": {"name": name}}]})


async def test_crds_are_read_and_no_key_reaches_a_disk(kubeconfig: Path, no_files: None) -> None:
    pair = {"client-certificate-data": b64(CLIENT.certificate), "client-key-data": b64(CLIENT.key)}
    async with serving(crds, tls=server_tls()) as url:
        write(kubeconfig, url, token="abc", **pair)
        found = await asyncio.to_thread(cluster.read, "hub", generator.opened, built_in=False, report=print)
    assert [each.document["metadata"]["name"] for each in found] == ["a.example.com", "b.example.com"]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        pytest.param(web.Response(status=403, text="{}"), "get /x: ", id="refused"),
        pytest.param(web.Response(text="[]"), "is not a JSON object", id="a-list"),
        pytest.param(web.Response(text="<html>"), "the answer is not JSON", id="a-page"),
    ],
)
async def test_an_answer_that_cannot_be_used_is_one_line(kubeconfig: Path, answer: web.Response, says: str) -> None:
    async def handler(_: web.BaseRequest) -> web.Response:
        return answer

    async with serving(handler) as url:
        write(kubeconfig, url, token="abc")
        async with generator.opened("hub") as get:
            with pytest.raises(model.Unusable, match=f"^context hub: get /x: .*{says.removeprefix('get /x: ')}"):
                await get("/x")


@pytest.mark.parametrize(
    ("code", "hint"), [(401, "log in again"), (403, "ask an admin of that cluster for this right"), (500, "")]
)
async def test_a_refusal_says_what_to_do_next(kubeconfig: Path, code: int, hint: str) -> None:
    async def handler(_: web.BaseRequest) -> web.Response:
        return web.Response(status=code, text="{}")

    async with serving(handler) as url:
        write(kubeconfig, url, token="abc")
        async with generator.opened("hub") as get:
            with pytest.raises(model.Unusable) as caught:
                await get("/x")
    assert caught.value.hint.partition(",")[0] == hint


async def test_a_server_that_is_not_there(kubeconfig: Path) -> None:
    write(kubeconfig, "https://127.0.0.1:1", token="abc")
    async with generator.opened("hub") as get:
        with pytest.raises(model.Unusable) as caught:
            await get("/x")
    assert caught.value.hint == "check whether the API server answers: kubectl --context hub get --raw /readyz"


async def test_a_context_that_is_not_there(kubeconfig: Path) -> None:
    write(kubeconfig, "https://127.0.0.1:1")
    with pytest.raises(model.Unusable, match=r"^context other: the kubeconfig cannot be used: no context 'other'"):
        async with generator.opened("other"):
            pass


def test_typegen_alone_has_no_client() -> None:
    result = CliRunner().invoke(cli.main, ["list", "--context", "hub"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "clusters are read by the installed command typegen only" in result.stderr
