"""The KRM function `kubefed-krm`: a ResourceList on stdin, the federated one on stdout, for kustomize, kpt and Flux.

Without flags, as the functions specification requires: all settings are in functionConfig. Exit code 1 when a result is
an error; then the messages are on stderr as well, because kustomize shows only those.
"""

import sys


def main() -> None:
    """Entry point; leaves by sys.exit."""
    from federation.cli import visible  # noqa: PLC0415

    sys.stderr = visible.Stream(sys.stderr)
    sys.exit(run())


def run() -> int:
    """One run on this process's stdin and stdout; the exit code."""
    from federation.cli import printing, reading  # noqa: PLC0415
    from federation.federating import resourcelist  # noqa: PLC0415
    from federation.model.errors import Invalid  # noqa: PLC0415

    try:
        documents = reading.read("-")
        if len(documents) != 1:
            raise Invalid("<stdin>", f"expected one ResourceList, not {len(documents)} documents")
        answer, fine = resourcelist.run(documents[0].value)
    except Invalid as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for result in answer.get("results", ()):
        print(f"{result['severity']}: {result['message']}", file=sys.stderr)
    sys.stdout.write(printing.yaml_documents([answer]))
    return 0 if fine else 1
