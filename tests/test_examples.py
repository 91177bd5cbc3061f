"""Each of examples/ does what its first lines say, with a champion at the root."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from ruamel.yaml import YAML

from tests.serve.networks import save
from tests.serve.running import running

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"


@pytest.fixture
def at_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a champion and a picture."""
    (tmp_path / "champion").mkdir()
    save(tmp_path / "champion", "lenet_28").rename(tmp_path / "champion" / "champion.onnx")
    picture = np.zeros((28, 28), np.uint8)
    picture[4:24, 12:16] = 255
    Image.fromarray(picture).save(tmp_path / "digit.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


def test_plain_python(at_the_root: Path) -> None:
    label, _, confidence = run(sys.executable, str(EXAMPLES / "champion.py"), "digit.png").strip().partition(": ")
    assert label in "0123456789"
    assert confidence.endswith("%")


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")
def test_curl(at_the_root: Path) -> None:
    with running(at_the_root / "champion") as server:
        answer = run("sh", str(EXAMPLES / "ask.sh"), "digit.png", f"http://127.0.0.1:{server.client.port}")
    assert '"model":"champion"' in answer
    assert '"predictions":[{' in answer


@pytest.mark.skipif("ORT" not in os.environ or shutil.which("g++") is None, reason="no g++, or $ORT names no library")
def test_cpp(at_the_root: Path) -> None:
    ort = os.environ["ORT"]
    source = str(EXAMPLES / "champion.cpp")
    run("g++", "-std=c++17", source, f"-I{ort}/include", f"-L{ort}/lib", "-lonnxruntime", "-o", "champion_cpp")
    environment = os.environ | {"LD_LIBRARY_PATH": f"{ort}/lib"}
    done = subprocess.run(["./champion_cpp"], capture_output=True, text=True, check=True, env=environment)
    assert sum(float(line.partition(": ")[2]) for line in done.stdout.splitlines()) == pytest.approx(1, abs=1e-4)


@pytest.mark.skipif(not (EXAMPLES / "ort").exists(), reason="onnxruntime-web is not in examples/ort")
@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium")
def test_browser(at_the_root: Path) -> None:
    from playwright.sync_api import sync_playwright

    shutil.copytree(EXAMPLES, "examples")
    command = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "8931"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        page = browser.new_page()
        page.goto("http://127.0.0.1:8931/examples/browser.html", wait_until="load")
        page.set_input_files("input", "digit.png")
        page.wait_for_function("document.querySelector('output').value.endsWith('%')")
        browser.close()
        server.terminate()


def test_the_workflow_calls_the_targets_of_the_makefile() -> None:
    job = YAML(typ="safe").load(ROOT / ".github/workflows/ci.yml")["jobs"]["test"]
    assert len(job["strategy"]["matrix"]["os"]) == len(job["strategy"]["matrix"]["python"]) == 3
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = [step["run"].split()[1] for step in job["steps"] if "run" in step]
    assert targets == ["test", "lint"]
    assert all(f"\n{target}:" in makefile for target in targets)
