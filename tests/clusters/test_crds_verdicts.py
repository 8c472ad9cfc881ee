"""Whatever the target's API server takes, its federated type takes: both asked, over random types and values.

A bounded run with fixed seeds here; `make soak` goes on for a fifth of SOAK_MINUTES, each round with the next seed.
"""

import os
import random
import ssl
import time

import pytest

from federation.playground.clusters import Playground
from tests.clusters import verdicts_of_versions
from tests.clusters.crds_server import Server
from tests.clusters.verdicts import Draw, Round

MINUTES = float(os.environ.get("SOAK_MINUTES", "0")) / 5
SEED = int(os.environ.get("FEDERATION_SEED", "1"))


@pytest.fixture(scope="module")
def server(playground: Playground, trust: ssl.SSLContext) -> Server:
    return Server(playground.clusters["m3"], trust)


@pytest.mark.timeout(300 + MINUTES * 60)
def test_what_the_target_takes_its_federated_type_takes(server: Server) -> None:
    until, seed = time.monotonic() + MINUTES * 60, SEED
    schemas = compared = taken = 0
    while True:
        one = Round(server, Draw(random.Random(seed)), f"r{seed}.random.example.com")
        one.run(count=60, values=12)
        schemas, compared, taken = schemas + one.schemas, compared + one.compared, taken + one.taken
        assert not one.findings, f"seed {seed}, {len(one.findings)} findings, the first:\n{one.findings[0]}"
        seed += 1
        if time.monotonic() > until and seed - SEED >= 3:
            break
    print(f"{schemas} schemas, {compared} verdicts compared, {taken} taken")  # noqa: T201
    assert taken > 500, "the values are such that a comparison means something"


@pytest.mark.timeout(300 + MINUTES * 60)
def test_what_any_version_of_the_target_takes_its_federated_type_takes(server: Server) -> None:
    until, seed = time.monotonic() + MINUTES * 60, SEED
    schemas = compared = taken = 0
    while True:
        one = verdicts_of_versions.round_of(server, seed)
        one.run(count=25, values=8)
        schemas, compared, taken = schemas + one.schemas, compared + one.compared, taken + one.taken
        assert not one.findings, f"seed {seed}, {len(one.findings)} findings, the first:\n{one.findings[0]}"
        seed += 1
        if time.monotonic() > until and seed - SEED >= 3:
            break
    print(f"{schemas} schemas, {compared} verdicts compared, {taken} taken")  # noqa: T201
    assert taken > 300, "the values are such that a comparison means something"
