"""Whatever the target's API server takes, its federated type takes: both asked, over random types and values.

A bounded run with fixed seeds here. `make soak` goes on for a fifth of SOAK_MINUTES, each round with the next seed, and
so does VERDICTS=5000 until so many verdicts have been compared in each test (some 60 a second).
"""

import os
import random
import ssl
import time
from collections.abc import Callable

import pytest

from federation.playground.clusters import Playground
from tests.clusters import verdicts_of_more, verdicts_of_versions
from tests.clusters.crds_server import Server
from tests.clusters.verdicts import Draw, Round

MINUTES = float(os.environ.get("SOAK_MINUTES", "0")) / 5
VERDICTS = int(os.environ.get("VERDICTS", "0"))
SEED = int(os.environ.get("FEDERATION_SEED", "1"))
TIMEOUT = 300 + MINUTES * 60 + VERDICTS / 10


@pytest.fixture(scope="module")
def server(playground: Playground, trust: ssl.SSLContext) -> Server:
    return Server(playground.clusters["m3"], trust)


def compare(round_of: Callable[[int], Round], *, count: int, values: int, rounds: int = 3) -> int:
    """Rounds of `count` types with so many values each, until enough was compared; how many values the targets took."""
    until, seed = time.monotonic() + MINUTES * 60, SEED
    schemas = compared = taken = 0
    while seed - SEED < rounds or compared < VERDICTS or time.monotonic() < until:
        one = round_of(seed)
        one.run(count, values)
        schemas, compared, taken = schemas + one.schemas, compared + one.compared, taken + one.taken
        assert not one.findings, f"seed {seed}, {len(one.findings)} findings, the first:\n{one.findings[0]}"
        seed += 1
    print(f"{schemas} schemas, {compared} verdicts compared, {taken} taken")  # noqa: T201
    return taken


@pytest.mark.timeout(TIMEOUT)
def test_what_the_target_takes_its_federated_type_takes(server: Server) -> None:
    def round_of(seed: int) -> Round:
        return Round(server, Draw(random.Random(seed)), f"r{seed}.random.example.com")

    assert compare(round_of, count=60, values=12) > 500, "the values are such that a comparison means something"


@pytest.mark.timeout(TIMEOUT)
def test_what_any_version_of_the_target_takes_its_federated_type_takes(server: Server) -> None:
    taken = compare(lambda seed: verdicts_of_versions.round_of(server, seed), count=25, values=8)
    assert taken > 300, "the values are such that a comparison means something"


@pytest.mark.timeout(TIMEOUT)
def test_what_the_target_takes_its_federated_type_takes_also_of_rarer_schemas_and_rules(server: Server) -> None:
    """CEL with macros, optional values, bindings and escapes; formats, nested defaults, fields of combinators alone."""
    taken = compare(lambda seed: verdicts_of_more.round_of(server, seed), count=25, values=12)
    assert taken > 150, "the values are such that a comparison means something"
