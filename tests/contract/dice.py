"""Dice for test_changes, seeded, so that its random changes can be repeated."""

import random
from typing import Any

Content = dict[str, Any]
NOTHING = object()
SELECTOR = {"matchLabels": {"app": "web"}}


class Dice:
    """Choices of one seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def one(self, *values: Any) -> Any:
        """One of them."""
        return self._random.choice(values)

    def some(self, **fields: Any) -> Content:
        """A map with some of these fields; of each one of its values."""
        chosen = {
            name: self.one(*(values if isinstance(values, tuple) else (values,))) for name, values in fields.items()
        }
        return {
            name: value() if callable(value) else value for name, value in chosen.items() if self._random.random() < 0.5
        }

    def maybe(self, name: str, *values: Any) -> Content:
        """The field with one of the values, or nothing."""
        value = self.one(NOTHING, *values)
        return {} if value is NOTHING else {name: value() if callable(value) else value}
