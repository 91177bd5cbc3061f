"""Find what stops people: broken state of DVC or MLflow, packages, space, rights, ports. Changes nothing.

    python -m cifra doctor

Prints a line for each trouble, with the command that mends it. Exit codes: 0 nothing found, 1 something found.
It needs nothing but Python itself, since packages may be what is missing.
"""

import os
import shutil
import socket
import sys
import tempfile
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from cifra import health
from cifra.health import Finding, Findings
from stages.core.cli.command import command

PYTHONS = ((3, 11), (3, 13))
NEEDED_BYTES = 2 * 10**9  # a run on MNIST with its cache, and some room
PACKAGES = Path("requirements.lock")
INSTALL = f"python -m pip install --require-hashes -r {PACKAGES}"
PORTS = {
    "8000": "`python -m serve --port 8001`, if it is not your own server",
    os.environ.get("CIFRA_UI_PORT", "5000"): "`CIFRA_UI_PORT=5001 make ui`, if it is not your own MLflow",
}


def main() -> int:
    found = [finding for check in CHECKS for finding in check()]
    for what, mend in found:
        print(f"{what}: {mend}")
    if not found:
        print("nothing found")
    return int(bool(found))


def python() -> Findings:
    low, high = PYTHONS
    if not low <= sys.version_info[:2] <= high:
        yield Finding(
            f"Python is {sys.version.split()[0]}, not 3.11 to 3.13", "`rm -r .venv && make PYTHON=python3.13`"
        )


def place() -> Findings:
    if not Path("params.yaml").exists():
        yield Finding("params.yaml is not here", "run this, and everything, at the root of the repository (`cd`)")


def packages() -> Findings:
    """What requirements.lock pins for this machine and is not installed."""
    if not PACKAGES.exists():
        return
    try:
        from packaging.requirements import Requirement
    except ModuleNotFoundError:
        yield Finding("packages are missing", f"`{INSTALL}`")
        return
    lines = PACKAGES.read_text(encoding="utf-8").splitlines()
    pinned = [Requirement(line.rstrip("\\ ")) for line in lines if line[:1].isalnum()]
    wanted = [pin.name for pin in pinned if pin.marker is None or pin.marker.evaluate()]
    missing = [name for name in wanted if not installed(name)]
    if missing:
        yield Finding(f"{len(missing)} packages are missing ({', '.join(missing[:5])})", f"`{INSTALL}`")


def installed(name: str) -> str:
    """Its version, empty if it is not."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def torch_pair() -> Findings:
    """A torchvision built for another torch fails at import, with words that lead nowhere."""
    vision, torch = installed("torchvision"), installed("torch")
    with suppress(ModuleNotFoundError):
        from packaging.requirements import Requirement

        for wanted in map(Requirement, requires("torchvision") or [] if vision and torch else []):
            if wanted.name == "torch" and not wanted.specifier.contains(torch, prereleases=True):
                yield Finding(f"torchvision {vision} needs torch{wanted.specifier}, not {torch}", f"`{INSTALL}`")


def space() -> Findings:
    for folder, mend in ((".", "`dvc gc --workspace` drops old results"), (tempfile.gettempdir(), "delete there")):
        free = shutil.disk_usage(folder).free
        if free < NEEDED_BYTES:
            yield Finding(f"{Path(folder).absolute()} has only {free / 10**9:.1f} GB left", mend)


def rights() -> Findings:
    for folder in [Path(), Path(".dvc"), health.RWLOCK.parent, health.CHECKPOINTS, *health.PUBLISHED]:
        if not folder.is_dir():
            continue
        try:
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            name = folder.absolute()
            yield Finding(
                f"{name} cannot be written ({error.strerror})", f"`sudo chown -R $USER '{name}'`, `chmod u+w`"
            )


def ports() -> Findings:
    for port, instead in PORTS.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(os.name != "nt"))
            try:
                probe.bind(("127.0.0.1", int(port)))
            except OSError:
                yield Finding(f"port {port} is taken", instead)


STATE = [health.rwlock, health.lock, health.mlflow_store, health.leftovers, health.checkpoints]
CHECKS = [python, place, packages, torch_pair, space, rights, ports, *STATE]

if __name__ == "__main__":
    command(main, __doc__)
