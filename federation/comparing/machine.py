"""Where it is measured, and with which versions. Linux's /proc; nothing here names a person or a host."""

import hashlib
import importlib.metadata
import os
import platform
import ssl
from collections.abc import Mapping
from pathlib import Path

from federation import __version__
from federation.comparing.model import Machine
from federation.playground import binaries

PACKAGES = ("aiohttp", "httptools", "msgspec", "orjson", "uvloop", "structlog", "prometheus-client")
"""Those whose version changes what is measured."""


def machine() -> Machine:
    """This one. Its identity is a digest of processor, cores, memory, kernel and the boot: after a restart, or on
    another machine of the same kind, milliseconds are another's."""
    cores, kernel = os.cpu_count() or 1, f"{platform.system()} {platform.release()} {platform.machine()}"
    told = (processor(), str(cores), str(memory_mb()), kernel, _boot())
    return Machine(
        identity=hashlib.sha256("\n".join(told).encode()).hexdigest()[:16],
        processor=processor(),
        cores=cores,
        memory_mb=memory_mb(),
        kernel=kernel,
    )


def versions() -> Mapping[str, str]:
    """Of this project, of Python and of the packages that count."""
    return {
        "project": __version__,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "openssl": " ".join(ssl.OPENSSL_VERSION.split()[:2]),
        "kubernetes": binaries.KUBERNETES_VERSION,
        **{name: importlib.metadata.version(name) for name in PACKAGES},
    }


def servers() -> Mapping[str, str]:
    """The versions of the servers that are measured against; known once they have been started."""
    return binaries.versions(("kube-apiserver", "etcd"))


def processor() -> str:
    """Its name, as the kernel has it."""
    return _said("/proc/cpuinfo", "model name") or "unknown"


def memory_mb() -> int:
    """All of it, in MB (10^6 bytes)."""
    return round(int(_said("/proc/meminfo", "MemTotal").removesuffix("kB")) * 1024 / 1e6)


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _said(path: str, name: str) -> str:
    lines = (line.partition(":") for line in Path(path).read_text().splitlines())
    return next((value.strip() for key, _, value in lines if key.strip() == name), "")
