"""A clone of the repository in a folder of its own, with few networks and few images."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
MADE = ("metrics/", "model_info/", "reports/", "dvc.lock")
RUNNING = re.compile(r"Running stage '(.*?)'")
QUIET = {"DVC_NO_ANALYTICS": "1", "MLFLOW_DISABLE_TELEMETRY": "true", "PYTHONWARNINGS": "default"}

yaml = YAML()


class Clone:
    """What git knows, as it lies in our working tree, without results; committed, as a user would find it."""

    def __init__(self, path: Path, networks: Sequence[str], recipe: dict[str, Any]) -> None:
        self.path = path
        for name in tracked():
            if (ROOT / name).exists() and not name.startswith(MADE):
                (path / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, path / name)
        self.edit("params.yaml", lambda params: shrink(params, networks, recipe))
        self.run("git", "init", "-q")
        self.commit()

    def edit(self, name: str, change: Callable[[Any], None]) -> None:
        values = yaml.load(self.path / name)
        change(values)
        yaml.dump(values, self.path / name)

    def commit(self) -> None:
        self.run("git", "add", "-A")
        self.run("git", "-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "-qm", "state")

    def run(self, *command: str, code: int = 0, cwd: Path | None = None) -> str:
        """What the command prints, stdout and stderr together; it must end with that exit code."""
        with self.start(*command, cwd=cwd) as process:
            try:
                said = process.communicate(timeout=900)[0]
            except BaseException:
                process.kill()
                raise
        assert process.returncode == code, said
        return said

    def durations(self) -> dict[str, float]:
        """Seconds of each stage that `dvc repro` runs, with what DVC itself does until the next one."""
        begins = {}
        with self.start("dvc", "repro") as dvc:
            assert dvc.stdout
            for line in dvc.stdout:
                if found := RUNNING.search(line):
                    begins[found[1]] = time.monotonic()
        assert dvc.returncode == 0
        ends = [*list(begins.values())[1:], time.monotonic()]
        return {stage: end - begin for (stage, begin), end in zip(begins.items(), ends, strict=True)}

    def start(self, *command: str, cwd: Path | None = None, **environment: str) -> subprocess.Popen[str]:
        """In a process group of its own."""
        return subprocess.Popen(
            command,
            cwd=cwd or self.path,
            env=self.environment() | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def environment(self) -> dict[str, str]:
        # Without what speaks of another repository: MLflow hands its store's address on to all that a process starts.
        foreign = ("DVC_", "MLFLOW_TRACKING_URI")
        own = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        return {**own, **QUIET, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def tracked() -> list[str]:
    """Every file that git knows of, even where the clone belongs to another user, as in some containers."""
    asked = ["git", "-c", "safe.directory=*", "ls-files", "-z"]
    listed = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.split("\0") if name]


def shrink(params: Any, networks: Sequence[str], recipe: dict[str, Any]) -> None:
    params |= {"dataset": "digits", "threads": 1, "accelerator": "cpu"}
    params["digits"]["augmented_copies"] = 0
    params["split"]["subset"] = {"train": 200, "validation": None, "test": 60}
    params["render"]["test_images"] = [0]
    params["models"] = {name: params["models"][name] | recipe for name in networks}
