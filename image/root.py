"""Put the image's whole content into an empty folder: `python -m image.root FOLDER`.

The Containerfile runs this in its first stage, and a test runs it where there is no builder; only the standard library
is used. The folder gets the Python that this runs with, the shared libraries that it needs, the locked wheels (each by
its hash) and this project: no shell, no package manager, nothing that is not needed to run the controller. Everything
belongs to root, and nothing may be written by others.
"""

import compileall
import os
import py_compile
import shutil
import stat
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

HERE = Path(__file__).parent
TOP = HERE.parent
UID = 65532
MOST = 120_000_000
"""Bytes that the image may have."""
_MARK = f"python{sys.version_info.major}.{sys.version_info.minor}"
_UNUSED = {
    "config-",  # the static library and its makefile
    "curses",
    "ensurepip",
    "idlelib",
    "lib2to3",
    "pydoc_data",
    "site-packages",
    "test",
    "tkinter",
    "turtledemo",
    "unittest",
    "__pycache__",
}
_UNUSED_MODULES = ("_tkinter", "_curses", "_dbm", "_gdbm", "_ctypes_test", "_test", "readline", "xxlimited", "nis")
_ENTRY = """\
#!/usr/local/bin/python3 -I
import sys

from federation.cli import main

sys.exit(main())
"""
_FILES = {
    "etc/passwd": f"root:x:0:0:root:/:/nologin\nnonroot:x:{UID}:{UID}:nonroot:/tmp:/nologin\n",
    "etc/group": f"root:x:0:\nnonroot:x:{UID}:\n",
    "etc/nsswitch.conf": "hosts: files dns\n",
}
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


def make(root: Path, wheels: Path | None = None) -> None:
    """Fill `root`. `wheels`: a folder with the locked wheels, so that no index is asked; else pip's own settings count.

    Raises ValueError when it is not empty, subprocess.CalledProcessError when pip cannot do its part.
    """
    if root.exists() and any(root.iterdir()):
        raise ValueError(f"{root} is not empty")
    prefix = root / sys.base_prefix.lstrip("/")
    packages = prefix / "lib" / _MARK / "site-packages"
    _python(prefix)
    _dependencies(packages, wheels)
    _project(packages, wheels)
    _trim(packages)
    _libraries(root)
    _system(root, prefix)
    _strip(root)
    _compile(root, prefix / "lib" / _MARK)
    _protect(root)


def size(root: Path) -> int:
    """Bytes of all files."""
    return sum(path.lstat().st_size for path in root.rglob("*") if path.is_file() and not path.is_symlink())


def download(wheels: Path) -> None:
    """Get every locked wheel for this machine, so that `make` asks no index."""
    for lock in ("requirements.txt", "build-requirements.txt"):
        _pip("download", "--require-hashes", "--only-binary", ":all:", "--dest", wheels, "-r", HERE / lock)


def _python(prefix: Path) -> None:
    """The interpreter and its library, without what a controller never imports."""
    base = Path(sys.base_prefix)

    def unused(folder: str, names: list[str]) -> set[str]:
        if Path(folder).name == "lib-dynload":
            return {name for name in names if name.startswith(_UNUSED_MODULES)}
        top = Path(folder) == base / "lib" / _MARK
        return {
            name
            for name in names
            if name in ("__pycache__", "tests") or (top and any(name.startswith(each) for each in _UNUSED))
        }

    shutil.copytree(base / "lib" / _MARK, prefix / "lib" / _MARK, ignore=unused, symlinks=True)
    (prefix / "bin").mkdir()
    shutil.copy2(os.path.realpath(base / "bin" / _MARK), prefix / "bin" / _MARK)
    (prefix / "lib" / _MARK / "site-packages").mkdir()


def _pip(*arguments: object, environment: dict[str, str] | None = None) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--no-input", "--disable-pip-version-check"]
    subprocess.run([*command, *map(str, arguments)], check=True, env=os.environ | (environment or {}))  # noqa: S603


def _from(wheels: Path | None) -> tuple[object, ...]:
    return ("--no-index", "--find-links", wheels) if wheels else ()


def _dependencies(packages: Path, wheels: Path | None) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch, "packages")
        how = ("--require-hashes", "--only-binary", ":all:", "--no-compile", "--no-deps", "--ignore-installed")
        _pip("install", *how, *_from(wheels), "--target", target, "-r", HERE / "requirements.txt")
        shutil.rmtree(target / "bin", ignore_errors=True)
        shutil.copytree(target, packages, dirs_exist_ok=True)


def _project(packages: Path, wheels: Path | None) -> None:
    """This project, as a wheel that the locked setuptools makes."""
    with tempfile.TemporaryDirectory() as scratch:
        tools, source, made = (Path(scratch, name) for name in ("tools", "source", "made"))
        how = ("--require-hashes", "--only-binary", ":all:", "--ignore-installed")
        _pip("install", *how, *_from(wheels), "--target", tools, "-r", HERE / "build-requirements.txt")
        for name in ("federation", "typegen", "templates"):
            shutil.copytree(TOP / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
            shutil.copy2(TOP / name, source / name)
        _pip(
            "wheel",
            "--no-build-isolation",
            "--no-deps",
            "--no-index",
            "--wheel-dir",
            made,
            source,
            environment={"PYTHONPATH": str(tools)},
        )
        (wheel,) = made.glob("*.whl")
        shutil.unpack_archive(wheel, packages, "zip")  # only Python: unpacking is installing


def _trim(packages: Path) -> None:
    """What wheels have beside their code."""
    for path in list(packages.rglob("*")):
        if path.suffix in {".pyx", ".pxd", ".pyi", ".c", ".h", ".pxi"} and path.is_file():
            path.unlink()
        elif path.name in {"tests", "test", "__pycache__"} and path.is_dir():
            shutil.rmtree(path)


def _strip(root: Path) -> None:
    """Take symbols for debuggers out of libraries: a quarter of all. Where there is no strip they stay."""
    strip = shutil.which("strip")
    libraries = [str(path) for path in root.rglob("*.so*") if path.is_file() and not path.is_symlink()]
    if strip is None:
        sys.stderr.write("warning: there is no strip (binutils): libraries keep their symbols\n")
        return
    subprocess.run([strip, "--strip-unneeded", *libraries], check=True)  # noqa: S603


def _compile(root: Path, library: Path) -> None:
    """Bytecode, as nothing can be written later. Of others' modules it replaces the source; ours keep theirs."""
    own = [library / "site-packages" / name for name in ("federation", "typegen")]
    for folder in (*own, library):
        compileall.compile_dir(
            str(folder),
            stripdir=str(root),
            quiet=2,
            legacy=folder == library,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
    for path in library.rglob("*.py"):
        beside = path.with_suffix(".pyc")
        ours = any(path.is_relative_to(folder) for folder in own)
        if beside.exists():
            (beside if ours else path).unlink()


def _libraries(root: Path) -> None:
    """Every shared library that the interpreter and the extension modules load, with the loader itself."""
    binaries = [path for path in root.rglob("*") if path.is_file() and (".so" in path.name or path.name == _MARK)]
    for library in sorted(set(_needed(binaries))):
        target = root / library.lstrip("/")
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(os.path.realpath(library), target)


def _needed(binaries: Iterable[Path]) -> Iterator[str]:
    for binary in binaries:
        shown = subprocess.run(["ldd", str(binary)], capture_output=True, text=True, check=False).stdout  # noqa: S603, S607
        for line in shown.splitlines():
            words = line.split()
            path = words[2] if "=>" in words and len(words) > 3 else words[0] if words else ""
            if path.startswith("/") and not Path(path).is_relative_to(binary.parents[-2]):
                yield path


def _system(root: Path, prefix: Path) -> None:
    for name, text in _FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    if _CERTIFICATES.exists():
        target = root / str(_CERTIFICATES).lstrip("/")
        target.parent.mkdir(parents=True)
        shutil.copy2(os.path.realpath(_CERTIFICATES), target)
    local = root / "usr/local/bin"
    local.mkdir(parents=True, exist_ok=True)
    if not (local / "python3").exists():
        (local / "python3").symlink_to("/" / (prefix / "bin" / _MARK).relative_to(root))
    (local / "fedctl").write_text(_ENTRY)
    for name in ("tmp", "proc", "dev"):
        (root / name).mkdir()


def _protect(root: Path) -> None:
    """Everybody may read, nobody but the owner may write, and what can be run may be run by everybody."""
    for path in [root, *root.rglob("*")]:
        if path.is_symlink():
            continue
        mode = path.stat().st_mode
        runs = path.is_dir() or mode & stat.S_IXUSR or path.parent.name == "bin"
        path.chmod(0o755 if runs else 0o644)


def main(arguments: list[str]) -> int:
    """Fill the folder that is named; 1 when the result would be too large, 2 for a wrong command line."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        sys.stderr.write("usage: python -m image.root FOLDER\n")
        return 2
    root = Path(arguments[0])
    make(root)
    bytes_ = size(root)
    sys.stderr.write(f"{root}: {bytes_ / 1e6:.0f} MB, Python {sysconfig.get_python_version()}\n")
    return 1 if bytes_ > MOST else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
