"""Version skew between fedctl and the controller, in words. docs/operations.md says what is supported."""

import re

_VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)\S*")


def said(client: str, controller: str) -> str:
    """What a person has to know of these two versions; "" when they fit, or when one of them is not known.

    `client` is fedctl's, `controller` the tag of its image. They fit when they differ in the last number only.
    """
    ours, theirs = _parts(client), _parts(controller)
    if ours is None or theirs is None or ours == theirs:
        return ""
    what = f"fedctl is {client}, the controller {controller}"
    if ours[0] != theirs[0] or abs(ours[1] - theirs[1]) > 1:
        return f"{what}: they do not fit, use a fedctl of the controller's version"
    if ours > theirs:
        return (
            f"{what}: it may not know what this fedctl stores; upgrade it (fedctl init --image, or helm upgrade), or "
            f"use a fedctl of its version"
        )
    return f"{what}: init and enable by this fedctl would take back newer CRDs and rights; use a fedctl of its version"


def _parts(version: str) -> tuple[int, int] | None:
    found = _VERSION.fullmatch(version)
    return (int(found[1]), int(found[2])) if found else None
