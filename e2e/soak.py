"""What takes long: `make soak`. The randomised test for SOAK_MINUTES, or one member down for OUTAGE seconds.

usage: SOAK_MINUTES=60 [FEDERATION_SEED=...] python -m e2e.soak    random acts, faults and kills; pytest's verdict
       OUTAGE=3600 [OUTAGE_OBJECTS=400 ...] python -m e2e.soak      one long outage; see e2e.outage.__main__

FEDERATION_SEED repeats the first round of a run that failed, or the users' acts of an outage.
"""

import os
import subprocess
import sys


def main() -> int:
    """Run it; the exit code is the run's own."""
    if os.environ.get("OUTAGE"):
        command = [sys.executable, "-m", "e2e.outage"]
    else:
        minutes = os.environ.setdefault("SOAK_MINUTES", "30")
        print(f"random acts, faults and kills for {minutes} minutes", flush=True)  # noqa: T201
        command = [sys.executable, "-m", "pytest", "tests/clusters/test_random.py", "-q", "-s"]
    return subprocess.run(command, check=False).returncode  # noqa: S603 - our own interpreter and arguments


if __name__ == "__main__":
    sys.exit(main())
