"""The controller's own parts as make bench puts them together without API servers: they make every placement."""

from e2e.bench import statuses
from e2e.bench.pipeline import Pipeline


async def test_every_object_is_placed_and_reported() -> None:
    pipeline = Pipeline(3)
    await pipeline.place(5)
    assert pipeline.placed() == 15
    assert pipeline.status_writes == 5


async def test_statuses_that_are_collected_cost_a_write_of_each_object() -> None:
    found = await statuses._cpu(statuses.FORMS["summary"], 4, 3)
    assert found["writes"] == 1.0
