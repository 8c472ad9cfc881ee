"""Keys and certificate requests, made in a process of its own: cryptography takes 16 MB, which an agent would keep.

`python -m federation.agent.sealing` reads one order (JSON) from stdin and writes the answer to stdout; the key passes
through these two pipes and nothing else. `ask` and `read` are what the agent calls.
"""

import asyncio
import base64
import sys
from dataclasses import dataclass, field
from typing import Any

import orjson

from federation.model.errors import Unusable

LONGEST = 30.0
"""Seconds that the process may take: on a busy machine Python alone takes one."""


@dataclass(frozen=True, slots=True)
class Issued:
    """What a certificate says: whose it is, from when to when (unix seconds), and whether it is for the key."""

    common_name: str
    begins: float
    ends: float
    fits: bool


@dataclass(frozen=True, slots=True)
class Sealed:
    """A key and a request that is signed with it (PEM)."""

    request: bytes
    key: bytes = field(repr=False)


async def ask(cluster: str, agent: str, key: bytes = b"") -> Sealed:
    """A request of this agent, with a new key where none is given. Raises Unusable."""
    made = await _ordered({"do": "ask", "cluster": cluster, "agent": agent, "key": _text(key)})
    return Sealed(_bytes(made["request"]), _bytes(made["key"]))


async def read(certificate: bytes, key: bytes) -> Issued:
    """What the certificate says. Raises Unusable where it says nothing."""
    found = await _ordered({"do": "read", "certificate": _text(certificate), "key": _text(key)})
    return Issued(str(found["name"]), float(found["begins"]), float(found["ends"]), bool(found["fits"]))


def carry_out(order: dict[str, str]) -> dict[str, Any]:
    """One order; {"error": ...} where it cannot be done. In the other process, which imports cryptography."""
    from federation.registration import certificates  # noqa: PLC0415

    try:
        if order["do"] == "ask":
            key = _bytes(order["key"]) or certificates.new_key()
            request = certificates.request(key, order["cluster"], order["agent"])
            return {"request": _text(request), "key": _text(key)}
        certificate = _bytes(order["certificate"])
        issued = certificates.issued(certificate)
        return {
            "name": issued.common_name,
            "begins": issued.begins.timestamp(),
            "ends": issued.ends.timestamp(),
            "fits": certificates.fits(certificate, _bytes(order["key"])),
        }
    except Unusable as error:
        return {"error": str(error)}


async def _ordered(order: dict[str, str]) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __name__, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(LONGEST):
            out, _ = await process.communicate(orjson.dumps(order))
        answer = orjson.loads(out)
    except TimeoutError:
        raise Unusable(f"no key was made within {LONGEST:g} s") from None
    except orjson.JSONDecodeError:
        raise Unusable("the process that makes keys has failed") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if "error" in answer:
        raise Unusable(answer["error"])
    return dict(answer)


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _bytes(value: str) -> bytes:
    return base64.b64decode(value)


if __name__ == "__main__":
    sys.stdout.buffer.write(orjson.dumps(carry_out(orjson.loads(sys.stdin.buffer.read()))))
