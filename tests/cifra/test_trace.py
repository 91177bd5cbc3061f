import subprocess
from hashlib import md5
from pathlib import Path
from typing import Any

import onnx
import pytest
from ruamel.yaml import YAML

from stages.core.cli import files
from stages.core.networks import networks
from stages.core.onnx import onnx_file
from tests.workspace import CLASSES, Workspace

NETWORK = "mlp_64_128"
COPY = "copy of a model.onnx"


def write_model(path: Path, **changes: Any) -> None:
    network = networks.build(NETWORK, (1, 28, 28), len(CLASSES), widths=[4, 4])
    proto = onnx_file.to_onnx(network.eval())
    metadata: dict[str, Any] = {
        "network": NETWORK,
        "classes": list(CLASSES),
        "dataset": "digits",
        "dataset_sha256": "12" * 32,
        "parameters": {"widths": [4, 4], "augment": {"rotation": 10}, "seed": 123},
        "fingerprint": "00c0ffee",
    } | changes
    onnx_file.describe(proto, {name: value for name, value in metadata.items() if value is not None})
    files.write(path, proto.SerializeToString())


def lock(stages: dict[str, list[str]]) -> None:
    """dvc.lock, of what lies here."""
    made = {
        name: {"cmd": "-", "outs": [{"path": path, "md5": md5(Path(path).read_bytes()).hexdigest()} for path in paths]}
        for name, paths in stages.items()
    }
    with Path("dvc.lock").open("w") as file:
        YAML().dump({"schema": "2.0", "stages": made}, file)


def git(*arguments: str) -> str:
    named = ["git", "-c", "user.name=t", "-c", "user.email=t@localhost", *arguments]
    return subprocess.run(named, check=True, capture_output=True, text=True).stdout.strip()


def commit(message: str) -> None:
    git("add", "dvc.lock")
    git("commit", "-q", "--allow-empty", "-m", message)


@pytest.fixture
def made(workspace: Workspace) -> Workspace:
    """A repository whose first commit holds the lock, and a file copied elsewhere under another name."""
    model = Path("models", f"{NETWORK}.onnx")
    write_model(model)
    files.write(Path("champion/champion.onnx"), model.read_bytes())
    lock({"compare": ["champion/champion.onnx"], f"export@{NETWORK}": [str(model)]})
    git("init", "-q")
    commit("the first")
    model.rename(COPY)
    return workspace


def trace(workspace: Workspace, file: str = COPY, code: int = 0) -> dict[str, str]:
    outcome = workspace.run("trace", file)
    assert (outcome.code, outcome.err) == (code, "")
    return {line[:16].strip(): line[16:] for line in outcome.out.splitlines()}


def test_a_copied_file_says_all_that_it_holds_and_is_led_back(made: Workspace) -> None:
    data = Path(COPY).read_bytes()
    assert trace(made) == {
        "file": f"{COPY}, sha256 {files.sha256(data)}, md5 {md5(data).hexdigest()}",
        "network": NETWORK,
        "dataset": "digits",
        "dataset_sha256": "12" * 32,
        "fingerprint": "00c0ffee",
        "classes": '["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]',
        "parameters": '{"augment": {"rotation": 10}, "seed": 123, "widths": [4, 4]}',
        "dvc.lock": f"models/{NETWORK}.onnx by export@{NETWORK}, champion/champion.onnx by compare",
        "git commit": f"{git('log', '-1', '--format=%H, %cs')}, the first",
        "MLflow": "search the runs for tags.fingerprint = '00c0ffee'",
    }


def test_a_file_of_an_earlier_commit_is_found_there(made: Workspace) -> None:
    first = git("rev-parse", "HEAD")
    write_model(Path("other.onnx"), fingerprint="aa")
    lock({"compare": ["other.onnx"]})
    commit("the second")
    found = trace(made)
    assert found["git commit"].startswith(first)
    assert found["dvc.lock"].endswith(f"by compare (of commit {first[:12]}, not of the one here)")


def test_what_was_quantized_is_led_back_to_what_it_was_made_from(made: Workspace) -> None:
    write_model(Path("small.onnx"), quantized_from=md5(Path(COPY).read_bytes()).hexdigest())
    assert trace(made, "small.onnx")["dvc.lock"] == trace(made)["dvc.lock"]


def test_a_flipped_bit_has_no_origin(made: Workspace) -> None:
    proto = onnx.load(COPY)
    raw = bytearray(proto.graph.initializer[1].raw_data)
    raw[0] ^= 1
    proto.graph.initializer[1].raw_data = bytes(raw)
    Path(COPY).write_bytes(proto.SerializeToString())
    found = trace(made, code=1)
    assert found["dvc.lock"].startswith("not found: ")
    assert found["git commit"].startswith("none holds it")


def test_a_lock_that_was_not_committed_is_told(made: Workspace) -> None:
    write_model(Path("new.onnx"), fingerprint="bb")
    lock({"export@new": ["new.onnx"]})
    found = trace(made, "new.onnx")
    assert found["dvc.lock"] == "new.onnx by export@new"
    assert found["git commit"] == "none holds it: `git commit dvc.lock` keeps what made a file"


def test_away_from_the_repository_the_file_still_speaks(
    made: Workspace, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = str(Path(COPY).absolute())
    made.monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert trace(made, file, code=1)["fingerprint"] == "00c0ffee"


@pytest.mark.parametrize("changes", [{"network": None}, {"fingerprint": None}, {"dataset_sha256": ["12"]}], ids=str)
def test_what_does_not_say_where_it_comes_from_is_one_line(made: Workspace, changes: dict[str, Any]) -> None:
    write_model(Path("other.onnx"), **changes)
    outcome = made.run("trace", "other.onnx")
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)
    assert "does not say where it comes from" in outcome.err


def test_nothing_in_the_file_reaches_the_terminal_raw(made: Workspace) -> None:
    write_model(Path("other.onnx"), parameters={"lr": "\x1b[2J"}, dataset="\x1b[31m")
    assert "\x1b" not in made.run("trace", "other.onnx").out


@pytest.mark.parametrize(("name", "said"), [("dvc.lock", "not an ONNX file"), ("none.onnx", "cannot be read")])
def test_what_is_no_model_is_one_line(made: Workspace, name: str, said: str) -> None:
    outcome = made.run("trace", name)
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)
    assert said in outcome.err


@pytest.mark.parametrize("text", ["stages: [", "hello", ""])
def test_a_damaged_lock_is_one_line(made: Workspace, text: str) -> None:
    Path("dvc.lock").write_text(text)
    outcome = made.run("trace", COPY)
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)
    assert "dvc.lock is damaged: run `git checkout dvc.lock`" in outcome.err
