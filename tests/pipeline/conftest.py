import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
NETWORKS = ("mlp_64_128", "lenet_32")

yaml = YAML()


class Repository:
    """A clone of its own, with two networks and few images."""

    def __init__(self, path: Path) -> None:
        self.path = path
        names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
        for name in names:
            if (ROOT / name).exists():
                (path / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, path / name)
        (path / "dvc.lock").unlink(missing_ok=True)
        self.edit("params.yaml", small)
        self.edit("dvc.yaml", two_networks)
        self.run("git", "init", "-q")
        self.commit()

    def edit(self, name: str, change: Any) -> None:
        values = yaml.load(self.path / name)
        change(values)
        yaml.dump(values, self.path / name)

    def commit(self) -> None:
        self.run("git", "add", "-A")
        self.run("git", "-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "-qm", "state")

    def run(self, *command: str, code: int = 0) -> str:
        """What the command prints, stdout and stderr together; it must end with that exit code."""
        done = subprocess.run(
            command,
            cwd=self.path,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=900,
        )
        assert done.returncode == code, done.stdout
        return done.stdout

    def environment(self) -> dict[str, str]:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        quiet = {"DVC_NO_ANALYTICS": "1", "MLFLOW_DISABLE_TELEMETRY": "true", "PYTHONWARNINGS": "default"}
        return {**os.environ, **quiet, "PATH": path}


def small(params: Any) -> None:
    params["threads"] = 1
    params["digits"]["copies"] = 0
    params["split"]["subset"] = {"train": 200, "validation": None, "test": 60}
    params["render"]["test_images"] = [0]
    params["models"] = {name: params["models"][name] | {"epochs": 2, "batch_size": 64} for name in NETWORKS}


def two_networks(pipeline: Any) -> None:
    """Leave out what the stages over all networks take from the other five."""
    outputs = ("weights", "models", "metrics", "results")
    for stage in pipeline["stages"].values():
        stage["deps"] = [
            dep
            for dep in stage["deps"]
            if not dep.startswith(outputs) or "${" in dep or any(name in dep for name in NETWORKS)
        ]
    for plot in pipeline["plots"]:
        for options in plot.values() if isinstance(plot, dict) else ():
            for file, columns in options["y"].items():
                if isinstance(columns, list):
                    options["y"][file] = list(NETWORKS)


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """After its first `dvc repro`, at a path with a space and an accent."""
    made = Repository(tmp_path_factory.mktemp("cifra año 1"))
    made.run("dvc", "repro")
    made.commit()
    return made
