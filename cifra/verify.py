"""Hold every published file against dvc.lock, byte by byte, and say which changed, is missing or is extra.

    python -m cifra verify
    python -m cifra verify --again train@lenet_28

The second repeats one stage in a scratch folder and says whether the same bytes come out.
Exit codes: 0 all is as recorded, 1 something differs.
"""

import subprocess
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

from cifra import lockfile, repeat
from cifra.lockfile import Entry, Stage
from stages.core.cli import settings
from stages.core.cli.command import command
from stages.core.cli.errors import UserError


def main(again: Annotated[str, "repeat this stage of dvc.lock in a scratch folder, and compare"] = "") -> int:
    stages = lockfile.load()
    if again:
        if again not in stages:
            raise UserError(settings.unknown("stage", again, list(stages), "one of dvc.lock"))
        return report_again(stages[again])
    findings = [finding for stage in stages.values() for finding in check(stage)]
    findings += list(check_chain(stages))
    for finding in findings:
        print(finding)
    outs = sum(len(stage.outs) for stage in stages.values())
    if findings:
        print(f"{len(findings)} differences from dvc.lock in {outs} outputs of {len(stages)} stages: mend them as said")
        return 1
    print(f"all {outs} outputs of {len(stages)} stages are as dvc.lock records them")
    return 0


def check(stage: Stage) -> Iterator[str]:
    for out in stage.outs:
        path = Path(out.path)
        if not path.exists():
            yield f"{out.path} is missing: {mend(stage, out)}"
        elif lockfile.md5_of(path) != out.md5:
            for what in changes(path, out.md5):
                yield f"{what}: {mend(stage, out)}"


def changes(path: Path, recorded: str) -> list[str]:
    """Which file changed: of a folder only its cached listing can tell."""
    listing = lockfile.cached_listing(recorded)
    if not path.is_dir() or listing is None:
        return [f"{path} has changed" + (" (DVC's cache cannot tell which of its files)" if path.is_dir() else "")]
    found = lockfile.listing(path)
    return (
        [f"{path / name} has changed" for name in listing if found.get(name, listing[name]) != listing[name]]
        + [f"{path / name} is missing" for name in listing if name not in found]
        + [f"{path / name} is extra" for name in found if name not in listing]
    )


def mend(stage: Stage, out: Entry) -> str:
    """The shortest way back to the recorded bytes; DVC's cache is trusted only as far as its bytes are right."""
    if git_has(out):
        return f"`git checkout {out.path}`"
    if any(fnmatchcase(out.path, pattern) for pattern in lockfile.left_to_git()):
        return f"`dvc repro {stage.name}`"
    kept = damaged(out)
    if kept is None:
        return f"delete {out.path}, then `dvc checkout {out.path}`"
    if kept:
        return f"its copy in DVC's cache is damaged too; delete {kept} and {out.path}, then `dvc repro {stage.name}`"
    return f"`dvc repro {stage.name}`"


def damaged(out: Entry) -> str | None:
    """None if DVC's cache can give the output back; else what in it is damaged, empty where it lacks a part."""
    if not out.md5.endswith(lockfile.FOLDER):
        wanted = [out.md5]
    elif (listing := lockfile.cached_listing(out.md5)) is not None:
        wanted = list(listing.values())
    else:
        return str(lockfile.cached(out.md5)) if lockfile.cached(out.md5).exists() else ""
    copies = {lockfile.cached(digest): digest for digest in wanted}
    if not all(copy.exists() for copy in copies):
        return ""
    return next((str(copy) for copy, digest in copies.items() if lockfile.md5_of_file(copy) != digest), None)


def git_has(out: Entry) -> bool:
    """Whether git's index holds the recorded bytes, as it does of metrics and reports."""
    try:
        answer = subprocess.run(["git", "show", f":./{out.path}"], capture_output=True, check=False)
    except FileNotFoundError:
        return False
    return answer.returncode == 0 and lockfile.md5(answer.stdout) == out.md5


def check_chain(stages: dict[str, Stage]) -> Iterator[str]:
    """Every stage took what an earlier one left, and not another version of it."""
    made = {out.path: out.md5 for stage in stages.values() for out in stage.outs}
    for stage in stages.values():
        for dep in stage.deps:
            if made.get(dep.path, dep.md5) != dep.md5:
                yield f"{stage.name} was made from another {dep.path} than the one recorded: `dvc repro {stage.name}`"


def report_again(stage: Stage) -> int:
    print(f"repeating {stage.name} in a scratch folder ...", flush=True)
    differences = repeat.differences(stage)
    for difference in differences:
        print(difference)
    if not differences:
        print(f"{stage.name}: the same bytes in {len(stage.outs)} outputs")
    return 1 if differences else 0


if __name__ == "__main__":
    command(main, __doc__)
