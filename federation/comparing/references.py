"""What was measured of others, elsewhere: raw data in the form of a run's, in reference/. Read when a report is made.

Every one has a machine of its own, so that `differences` compares its counts as they are, its CPU by ratio to the bare
client of that machine where that was measured, and its times never. Their applications are single ConfigMaps, those of
`twins` several objects: the places say so, and are never compared.
"""

from importlib import resources

from federation.comparing import model
from federation.comparing.model import Run

_NAMES = ("kubefed.json", "kubefed-scale.json", "karmada.json", "ocm.json")
THEN = "push in November 2026"
"""This project's push, in runs in which it was measured in turn with another on one machine."""


def read() -> list[Run]:
    """All of them, in the order of the report."""
    folder = resources.files("federation.comparing") / "reference"
    return [model.decode((folder / name).read_bytes()) for name in _NAMES]
