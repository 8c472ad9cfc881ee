"""`-k`: what kustomize makes of a folder, as `kubectl -k` reads it.

Built by the kustomize or, where there is none, the kubectl in PATH, so that it is what the user's own apply would be.
"""

import pathlib
import shutil
import subprocess

from federation.cli import options, printing, reading
from federation.cli.reading import Document
from federation.model.errors import Invalid

FLAG = "-k"
_TOOLS = (("kustomize", "build"), ("kubectl", "kustomize"))
_NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_LONGEST = 2_000
"""Characters of what the tool says is wrong."""


def documents(folder: str) -> list[Document]:
    """The documents that a kustomization makes. Raises Invalid."""
    source = f"{FLAG} {folder}"
    text = build(folder)
    return [document for found in reading.parse(text, source) for document in reading.flattened(found)]


def build(folder: str) -> str:
    """What the tool prints. Raises Invalid where there is no tool, or with what it says is wrong."""
    if not _remote(folder) and not any((pathlib.Path(folder) / name).is_file() for name in _NAMES):
        raise Invalid(FLAG, f"{folder} has no {_NAMES[0]}: -f reads plain files")
    command = next(([path, verb] for tool, verb in _TOOLS if (path := shutil.which(tool))), None)
    if command is None:
        raise Invalid(FLAG, "neither kustomize nor kubectl is in PATH: install one, or pipe: kustomize build | -f -")
    try:
        ran = subprocess.run(  # noqa: S603 - the user's own tool, with a folder that the user has named
            [*command, folder], stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
    except OSError as error:
        raise Invalid(FLAG, f"{command[0]} cannot be run: {error.strerror}") from None
    if ran.returncode != 0:
        said = ran.stderr.decode(errors="replace").strip() or f"exit code {ran.returncode}"
        raise Invalid(FLAG, f"{' '.join(command)} {folder}: {said[:_LONGEST]}")
    for line in ran.stderr.decode(errors="replace").splitlines():
        options.report(printing.plain(line))  # its warnings: a field that is going away
    try:
        return ran.stdout.decode()
    except UnicodeDecodeError:
        raise Invalid(FLAG, f"what {command[0]} makes of {folder} is not UTF-8 text") from None


def _remote(folder: str) -> bool:
    """Whether it is a URL, or a repository, that the tool fetches by itself."""
    return "://" in folder or folder.startswith(("github.com/", "git@"))
