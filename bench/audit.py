"""Ask the package index whether a fault is known of a package that is pinned; part of `make lint`.

    python -m bench.audit

Exit codes: 0 none is known, or nobody could be asked and it is said so; 1 one is known.
"""

import json
import subprocess
import sys
from typing import Any

from bench.clone import ROOT

LOCK = ROOT / "requirements-test.lock"  # which holds all of requirements.lock
LIMIT_S = 300
COMMAND = [
    *(sys.executable, "-m", "pip_audit", "--requirement", str(LOCK), "--require-hashes", "--disable-pip"),
    *("--format", "json", "--progress-spinner", "off", "--timeout", "10"),
]
Packages = list[dict[str, Any]]


class NotAsked(Exception):
    """Why not."""


def main() -> int:
    try:
        packages = ask()
        asked = [package for package in packages if "skip_reason" not in package]
        if not asked:
            raise NotAsked("the index gave no answer about any package")
    except NotAsked as reason:
        print(f"known faults of packages: skipped, since {reason}")
        return 0
    found = faults(asked)
    print("\n".join([*found, f"{len(found)} known faults; {len(asked)} of {len(packages)} packages were asked about"]))
    return int(bool(found))


def ask() -> Packages:
    """What pip-audit says; without a network it says nothing that is JSON."""
    try:
        done = subprocess.run(COMMAND, capture_output=True, text=True, timeout=LIMIT_S, check=False)
        packages: Packages = json.loads(done.stdout)["dependencies"]
    except subprocess.TimeoutExpired:
        raise NotAsked(f"the index took longer than {LIMIT_S} s") from None
    except ValueError:
        last = (done.stderr.strip() or "pip-audit said nothing").splitlines()[-1]
        raise NotAsked(f"pip-audit failed ({last})") from None
    return packages


def faults(packages: Packages) -> list[str]:
    return [describe(package, fault) for package in packages for fault in package["vulns"]]


def describe(package: dict[str, Any], fault: dict[str, Any]) -> str:
    mended = ", ".join(fault["fix_versions"])
    way = f"mended in {mended}: `make lock`" if mended else "not mended yet"
    return f"{package['name']} {package['version']} has {fault['id']}, {way}"


if __name__ == "__main__":
    sys.exit(main())
