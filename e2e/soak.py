"""The randomised test for as long as you like: `SOAK_MINUTES=60 python -m e2e.soak`. Ends with pytest's verdict.

FEDERATION_SEED repeats the first round of a run that failed.
"""

import os
import subprocess
import sys


def main() -> int:
    """Run it; the exit code is pytest's."""
    minutes = os.environ.setdefault("SOAK_MINUTES", "30")
    print(f"random acts, faults and kills for {minutes} minutes", flush=True)  # noqa: T201
    command = [sys.executable, "-m", "pytest", "tests/clusters/test_random.py", "-q", "-s"]
    return subprocess.run(command, check=False).returncode  # noqa: S603 - our own interpreter and arguments


if __name__ == "__main__":
    sys.exit(main())
