"""Get the control plane's binaries, so that no test has to wait for a compiler.

Where they come from: federation.playground.binaries.

usage: binaries.py
"""

import sys
import time

from federation.playground import binaries
from federation.playground.errors import PlaygroundError


def main() -> int:
    """Find, download or build all of them; 1 with the reason when that is not possible, 130 when interrupted."""
    began = time.monotonic()

    def report(line: str) -> None:
        print(f"[{time.monotonic() - began:4.0f} s] {line}", file=sys.stderr, flush=True)  # noqa: T201

    try:
        found = binaries.ensure((*binaries.NAMES, binaries.MANY), report)
    except PlaygroundError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        print("interrupted; run it again to continue", file=sys.stderr)  # noqa: T201
        return 130
    for name, path in found.items():
        print(f"{name}: {path}", file=sys.stderr)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
