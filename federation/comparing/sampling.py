"""Steps that follow from settings, and figures made raw data. Pure."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from federation.comparing.model import Place, Sample, Settings, Step, Subject


def in_turn(scenario: str, settings: Settings, places: Iterable[Place]) -> list[Step]:
    """Every place for every subject in every round: rounds in turn between subjects, place by place."""
    return [
        Step(scenario=scenario, subject=subject, round=number, at=at)
        for at in places
        for number in range(1, settings.rounds + 1)
        for subject in settings.subjects
    ]


def on_a_site(settings: Settings) -> Settings:
    """The settings without bundled pull: it changes what is written at the hub, and nothing of what is looked at where
    links are cut and clusters go wrong."""
    subjects = tuple(each for each in settings.subjects if each != Subject.PULL_BUNDLED)
    return msgspec.structs.replace(settings, subjects=subjects)


def few(settings: Settings, rounds: Mapping[str, int]) -> Settings:
    """The same, with so many rounds at most, by scale."""
    return msgspec.structs.replace(settings, rounds=min(settings.rounds, rounds[settings.scale]))


def once(settings: Settings) -> Settings:
    """The same, with one round, of what is no question of chance."""
    return msgspec.structs.replace(on_a_site(settings), rounds=1)


def samples(step: Step, figures: Mapping[str, float | Sequence[float]], **more: int | float | str) -> list[Sample]:
    """Figures of a step as raw data, `more` beside its place."""
    return [
        Sample(
            scenario=step.scenario,
            subject=step.subject,
            round=step.round,
            figure=name,
            values=tuple(round(one, 4) for one in ((value,) if isinstance(value, int | float) else value)),
            at={**step.at, **more},
        )
        for name, value in figures.items()
    ]
