"""What is counted of a cut: who is written how often, what was made anew; pure parts."""

from collections import Counter
from typing import cast

from federation.comparing.client import Client
from federation.comparing.scenarios.cut import Fates, History

FATES = Fates(2)
BEFORE = {name: (f"uid-{name}", "1") for name in FATES.before}


def history(**written: int) -> History:
    made = History(cast("Client", None), "shop")
    made._written = Counter({name.replace("_", "-"): count for name, count in written.items()})
    return made


def test_every_object_has_an_end() -> None:
    assert set(FATES.before) < set(FATES.wanted)
    assert set(FATES.wanted) == set(FATES.allowed())
    assert {name for name in FATES.wanted if name not in FATES.before} == {"added-0", "added-1"}
    assert [name for name, version in FATES.wanted.items() if version is None] == ["dropped-0", "dropped-1"]


def test_what_nobody_did_twice() -> None:
    after = {name: held for name, held in BEFORE.items() if not name.startswith("dropped")}
    after["removed-0"] = ("another", "1")  # somebody had deleted it
    assert history(edited_0=2, removed_0=2, changed_0=1, added_0=1).twice(FATES, BEFORE, after) == 0


def test_what_is_written_more_often_than_changed() -> None:
    assert history(changed_0=2, left_0=1, edited_1=2).twice(FATES, BEFORE, BEFORE) == 2


def test_what_is_made_anew_though_nobody_deleted_it() -> None:
    after = BEFORE | {"left-0": ("another", "1"), "changed-1": ("another", "2")}
    assert history().twice(FATES, BEFORE, after) == 2


def test_one_object_counts_once() -> None:
    after = BEFORE | {"left-0": ("another", "1")}
    assert history(left_0=2).twice(FATES, BEFORE, after) == 1
