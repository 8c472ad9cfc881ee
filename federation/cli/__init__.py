"""`fedctl`: one module for each verb, imported when the verb is used. Start reading at `root`.

Data goes to stdout, all else to stderr. Exit codes: 0 done, 1 failed, 2 wrong usage or input, 3 done in part (some
clusters), 130 interrupted.
"""

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of `fedctl` and of the kubectl plugin `kubectl fed`; leaves by sys.exit."""
    from federation.cli import root, visible  # noqa: PLC0415 (importing the package costs nothing)

    sys.stdout, sys.stderr = visible.Stream(sys.stdout), visible.Stream(sys.stderr)
    sys.exit(root.run(arguments))
