"""Each thing that the documents name, taken by each verb that they name for it, and their commands; after a run."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests import test_docs
from tests.pipeline.conftest import NETWORKS, Repository

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
NOUNS = ["champion/champion.onnx", *(f"models/{network}.onnx" for network in NETWORKS), "int8"]


@pytest.fixture(scope="session")
def quantized(repository: Repository) -> str:
    """One that was kept; the runs are short, and not every network stands it."""
    repository.run("python", "-m", "cifra", "quantize")
    return sorted(repository.path.glob("int8/*.onnx"))[0].relative_to(repository.path).as_posix()


@pytest.fixture(params=NOUNS)
def noun(request: pytest.FixtureRequest) -> str:
    """A file, from the root of the repository."""
    return str(request.getfixturevalue("quantized") if request.param == "int8" else request.param)


def test_trace(repository: Repository, noun: str, tmp_path: Path) -> None:
    copy = shutil.copyfile(repository.path / noun, tmp_path / "copy.onnx")
    assert (
        f" by export@{Path(noun).stem.removesuffix('_int8')}"
        in repository.run("python", "-m", "cifra", "trace", str(copy))
        or "champion" in noun
    )


def test_predict(repository: Repository, noun: str, tmp_path: Path) -> None:
    drawing = np.full((100, 100), 255, np.uint8)
    drawing[20:80, 45:55] = 0
    Image.fromarray(drawing).save(tmp_path / "one.png")
    said = repository.run("python", "-m", "cifra", "predict", "--model", noun, str(tmp_path / "one.png"))
    assert said.startswith(Path(noun).stem)


def test_serve(repository: Repository, noun: str) -> None:
    server = repository.start("python", "-m", "cifra", "serve", "--models", noun, "--port", "0")
    try:
        assert server.stdout
        assert any(Path(noun).stem in line for line in server.stdout), "it ended"
    finally:
        server.terminate()
        server.communicate(timeout=20)


ENDING = re.compile(
    r"python -m (cifra (results|trace|verify)|stages\.)|cifra (--help|completion)|dvc (repro|dag|status|exp show)"
)
SAFE = {  # of what the documents run, those that end by themselves, change nothing and need no network
    " ".join(command).replace("lenet_28", "lenet_32"): command
    for command in test_docs.COMMANDS
    if ENDING.match(" ".join(command))
}


@pytest.mark.parametrize("command", SAFE)
def test_the_commands_of_the_documents_run(repository: Repository, command: str) -> None:
    repository.run("bash", "-c", command)


def test_results_say_what_computed_them(repository: Repository) -> None:
    """In bf16 where the processor has it, and a recipe asks for what is fastest."""
    said = repository.run("python", "-m", "cifra", "results")
    computed = re.search(r"^computed by (cpu, (?:bf16|fp32), torch [^;\n]+)", said, re.MULTILINE)
    assert computed, said
    before = repository.run("python", "-m", "cifra", "results", "--whose")
    assert before.startswith(f"the results in git were computed as here ({computed[1]});")


def test_the_doctor_ends_without_a_traceback(repository: Repository) -> None:
    done = subprocess.run(
        ["python", "-m", "cifra", "doctor"],
        cwd=repository.path,
        env=repository.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode in (0, 1), done.stderr) == (True, "")
    assert "DVC: " not in done.stdout
