"""How fast typegen is: `python -m e2e.bench.typegen_bench [--count 500] [--output FILE]`.

Makes CRDs of the sizes that real projects have (a third of some ten KB, a few of half a megabyte), then measures, each
in a process of its own and in CPU seconds: `typegen write` of all of them; a plain load and dump of the same files by
libyaml, which is what any tool must pay; and `typegen --help`. The CRDs come from a seed, so two runs compare.
"""

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

SEED = 5
SIZES = ((10_000, 35), (40_000, 35), (120_000, 20), (300_000, 8), (550_000, 2))
"""(bytes of YAML, share in percent): cert-manager's to Argo Rollouts' and the Prometheus operator's."""

_TEXT = """
selects the name of resource which is used by controller to reconcile desired state when field set empty list must be
unique optional reference secret namespace defaults value cluster pods status condition observed
"""
_WORDS = _TEXT.split()
_PLAIN = """
import sys, yaml
for name in sys.argv[1:]:
    with open(name) as file:
        documents = list(yaml.load_all(file, Loader=yaml.CSafeLoader))
    yaml.dump_all(documents, Dumper=yaml.CSafeDumper)
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """One process: CPU and wall seconds, and the most memory it had, in MiB."""

    cpu: float
    wall: float
    memory: float


@dataclass(frozen=True, slots=True)
class Result:
    """What the table says."""

    crds: int
    megabytes: float
    typegen: Cost
    plain: Cost
    help_ms: float

    @property
    def ratio(self) -> float:
        """typegen's CPU as a multiple of the plain load and dump's."""
        return self.typegen.cpu / self.plain.cpu


def crd(number: int, size: int, draw: random.Random) -> dict[str, Any]:
    """A CRD of about `size` bytes of YAML with what real ones have: nesting, lists by key, defaults, rules, columns."""
    kind = f"Widget{number}"
    spec: dict[str, Any] = {"type": "object", "properties": {}, "required": ["name0"]}
    spec["properties"]["name0"] = {"type": "string", "maxLength": 253, "description": _text(draw, 12)}
    total = 2_000
    while total < size:
        field, cost = _field(draw, depth=0)
        spec["properties"][f"field{len(spec['properties'])}"] = field
        total += cost
    spec["properties"]["mode"] = {"type": "string", "enum": ["Fast", "Safe"], "default": "Safe"}
    spec["x-kubernetes-validations"] = [{"rule": "self.mode != 'Fast' || self.name0 != ''", "message": "name it"}]
    status = {"type": "object", "properties": {"phase": {"type": "string"}, "replicas": {"type": "integer"}}}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [{"name": "Mode", "type": "string", "jsonPath": ".spec.mode"}],
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec, "status": status}}},
    }
    plural = f"{kind.lower()}s"
    group = f"group{number % 40}.example.com"
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "names": {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower()},
            "scope": "Namespaced",
            "versions": [version],
        },
    }


def _text(draw: random.Random, words: int) -> str:
    return " ".join(draw.choice(_WORDS) for _ in range(words)).capitalize() + "."


def _field(draw: random.Random, depth: int) -> tuple[dict[str, Any], int]:
    """One field and about how many bytes of YAML it takes."""
    text = " ".join(_text(draw, draw.randint(5, 20)) for _ in range(draw.randint(1, 3)))
    cost = len(text) + 60 + 30 * depth
    shape = draw.random() if depth < 4 else 0.0
    if shape < 0.6:
        leaf: dict[str, Any] = draw.choice(
            [
                {"type": "string"},
                {"type": "string", "pattern": "^[a-z]+$", "maxLength": 63},
                {"type": "integer", "format": "int32", "minimum": 0},
                {"type": "boolean", "default": False},
                {"x-kubernetes-int-or-string": True},
                {"type": "object", "additionalProperties": {"type": "string"}},
            ]
        )
        return {"description": text, **leaf}, cost
    children = {}
    for index in range(draw.randint(2, 4)):
        children[f"child{index}"], below = _field(draw, depth + 1)
        cost += below
    node: dict[str, Any] = {"type": "object", "properties": children}
    if shape < 0.8:
        return {"description": text, **node}, cost
    node["properties"]["key"], node["required"] = {"type": "string"}, ["key"]
    keyed: dict[str, Any] = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["key"]}
    return {"description": text, "type": "array", "items": node, **keyed}, cost + 120


def write_crds(folder: Path, count: int) -> float:
    """`count` CRDs into `folder`; returns their size in megabytes."""
    draw = random.Random(SEED)
    sizes = draw.choices([size for size, _ in SIZES], [share for _, share in SIZES], k=count)
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    total = 0
    for number, size in enumerate(sizes):
        text = yaml.dump(crd(number, size, draw), Dumper=dumper, sort_keys=False)
        (folder / f"{number:04}.yaml").write_text(text, encoding="utf-8")
        total += len(text)
    return total / 1e6


def cost(command: Sequence[str]) -> Cost:
    """What a command costs, run to its end. Raises CalledProcessError when it fails."""
    before = os.times()
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)  # noqa: S603
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            raise subprocess.CalledProcessError(process.returncode, command, stderr=errors.read())
    per_mebibyte = 1024 if sys.platform != "darwin" else 1024 * 1024
    return Cost(usage.ru_utime + usage.ru_stime, os.times().elapsed - before.elapsed, usage.ru_maxrss / per_mebibyte)


def measure(count: int) -> Result:
    """All three measurements, in a folder that is removed again."""
    with tempfile.TemporaryDirectory(prefix="typegen-bench-") as made:
        folder = Path(made)
        (folder / "crds").mkdir()
        size = write_crds(folder / "crds", count)
        files = sorted(str(path) for path in (folder / "crds").iterdir())
        typegen = [sys.executable, "-c", "from typegen.cli import main; main()"]
        plain = cost([sys.executable, "-c", _PLAIN, *files])
        written = cost([*typegen, "write", str(folder / "crds"), "-o", str(folder / "out")])
        helped = min(cost([*typegen, "--help"]).cpu for _ in range(5))
        return Result(count, size, written, plain, helped * 1000)


def table(result: Result) -> str:
    """The result for people."""
    rows = [
        f"{result.crds} CRDs, {result.megabytes:.1f} MB of YAML; Python {platform.python_version()}, "
        f"{os.cpu_count()} CPUs, seed {SEED}",
        f"typegen write       {result.typegen.cpu:7.2f} s CPU   {result.crds / result.typegen.cpu:7.0f} CRDs/s"
        f"   {result.typegen.memory:6.0f} MiB at most",
        f"plain load and dump {result.plain.cpu:7.2f} s CPU   {result.crds / result.plain.cpu:7.0f} CRDs/s"
        f"   {result.plain.memory:6.0f} MiB at most",
        f"ratio               {result.ratio:7.2f}         (aim: 2 at most)",
        f"typegen --help      {result.help_ms:7.0f} ms CPU  (aim: 150 at most)",
    ]
    return "\n".join(rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, write JSON where asked."""
    parser = argparse.ArgumentParser(prog="python -m e2e.bench.typegen_bench", description=__doc__)
    parser.add_argument("--count", type=int, default=500, help="how many CRDs")
    parser.add_argument("--output", type=Path, help="also write the raw figures as JSON")
    chosen = parser.parse_args(arguments)
    result = measure(chosen.count)
    sys.stdout.write(table(result) + "\n")
    if chosen.output:
        chosen.output.write_text(json.dumps({**asdict(result), "ratio": result.ratio}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
