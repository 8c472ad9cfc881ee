"""Long runs: `make soak`. The randomised tests for SOAK_MINUTES, or one member down for OUTAGE seconds.

usage: SOAK_MINUTES=60 [FEDERATION_SEED=...] python -m e2e.soak    random acts, faults and kills; for a fifth of the
                                                                    time malformed answers and objects, for another
                                                                    fifth random types, targets and templates; random
                                                                    changes of templates (CHANGES_SEED)
       OUTAGE=3600 [OUTAGE_OBJECTS=400 ...] python -m e2e.soak      one long outage; see e2e.outage.__main__

FEDERATION_SEED repeats the first round of a run that failed, or the users' acts of an outage.
"""

import os
import secrets
import subprocess
import sys
from collections.abc import Sequence

from e2e import running


def main(arguments: Sequence[str] = ()) -> int:
    """Run it; the exit code is the run's own."""
    if (code := running.explained(__doc__, arguments)) is not None:
        return code
    if os.environ.get("OUTAGE"):
        command = [sys.executable, "-m", "e2e.outage"]
    else:
        minutes = os.environ.setdefault("SOAK_MINUTES", "30")
        print(f"random acts, faults and kills for {minutes} minutes, fuzz and types for a fifth each", flush=True)  # noqa: T201
        command = [sys.executable, "-m", "pytest", "tests/unit/kube/test_fuzz.py", "tests/clusters/test_random.py"]
        command += ["tests/clusters/test_crds_verdicts.py", "tests/contract/test_changes.py", "-q", "-s"]
        os.environ.setdefault("CHANGES", str(max(6, int(float(minutes) * 2))))
        seed = os.environ.setdefault("CHANGES_SEED", str(secrets.randbelow(1_000_000)))
        print(f"random changes of templates with CHANGES_SEED={seed}", flush=True)  # noqa: T201
    return subprocess.run(command, check=False).returncode  # noqa: S603 - our own interpreter and arguments


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
