import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from cifra import lockfile, repeat
from tests import recorded
from tests.recorded import FILES, flip_a_bit
from tests.workspace import Outcome, Workspace, publish_split, shell

NETWORK = "mlp_64_128"


@pytest.fixture
def published(workspace: Workspace) -> Workspace:
    recorded.make()
    return workspace


@pytest.fixture
def cached(published: Workspace) -> Workspace:
    recorded.fill_cache()
    return published


def findings(workspace: Workspace) -> list[str]:
    """The lines before the summary; all well is none."""
    outcome = workspace.run("verify")
    assert outcome.err == ""
    *lines, summary = outcome.out.splitlines()
    assert outcome.code == bool(lines)
    assert summary.startswith(f"{len(lines)} differences" if lines else "all 11 outputs of 7 stages are as")
    return lines


def test_what_is_as_recorded_passes(cached: Workspace) -> None:
    assert findings(cached) == []


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_is_found_and_its_file_named(cached: Workspace, name: str) -> None:
    flip_a_bit(Path(name))
    (line,) = findings(cached)
    assert line.startswith(f"{name} has changed: delete ")


@pytest.mark.parametrize("name", FILES)
def test_without_a_cache_the_output_is_named(published: Workspace, name: str) -> None:
    flip_a_bit(Path(name))
    (line,) = findings(published)
    output = line.split()[0]
    assert name.startswith(output)
    assert "has changed" in line


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(cached: Workspace, name: str) -> None:
    Path(name).unlink()
    (line,) = findings(cached)
    assert line.startswith(f"{name} is missing: delete ")


@pytest.mark.parametrize("name", FILES)
def test_what_is_advised_brings_the_bytes_back(cached: Workspace, name: str) -> None:
    """`dvc checkout` stands here for a copy from the cache, which is what it does."""
    flip_a_bit(Path(name))
    (line,) = findings(cached)
    output = Path(line.removesuffix("`").rpartition(" ")[2])
    assert line.endswith(f": delete {output}, then `dvc checkout {output}`")
    shutil.rmtree(output) if output.is_dir() else output.unlink()
    recorded_as = {out.path: out.md5 for stage in lockfile.load().values() for out in stage.outs}[output.as_posix()]
    files = lockfile.cached_listing(recorded_as) or {"": recorded_as}
    for file, digest in files.items():
        target = output / file if file else output
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(lockfile.cached(digest), target)
    assert findings(cached) == []


def test_an_extra_file_is_named(cached: Workspace) -> None:
    Path("weights/one/old.safetensors").touch()
    (line,) = findings(cached)
    assert line.startswith("weights/one/old.safetensors is extra: ")


def test_what_dvc_ignores_is_no_extra_file(cached: Workspace) -> None:
    Path("data/raw/__pycache__").mkdir()
    Path("data/raw/__pycache__/a.pyc").touch()
    Path("data/raw/.dataset.json.77.partial").touch()
    assert findings(cached) == []


def test_a_date_alone_changes_nothing(cached: Workspace) -> None:
    Path("models/one.onnx").touch()
    assert findings(cached) == []


def test_a_missing_folder_is_one_line(cached: Workspace) -> None:
    shutil.rmtree("figures")
    assert findings(cached) == ["figures is missing: delete figures, then `dvc checkout figures`"]


def test_without_a_copy_the_stage_is_to_be_repeated(published: Workspace) -> None:
    flip_a_bit(Path("models/one.onnx"))
    assert findings(published) == ["models/one.onnx has changed: `dvc repro export@one`"]


@pytest.mark.parametrize("name", ["models/one.onnx", "weights/one/epochs.csv"])
def test_a_damaged_copy_is_not_advised(cached: Workspace, name: str) -> None:
    copy = lockfile.cached(lockfile.md5_of_file(Path(name)))
    flip_a_bit(copy)
    flip_a_bit(Path(name))
    (line,) = findings(cached)
    assert f"its copy in DVC's cache is damaged too; delete {copy} and " in line
    assert line.endswith("@one`")


def test_a_damaged_listing_is_not_trusted(cached: Workspace) -> None:
    copy = lockfile.cached(lockfile.md5_of(Path("figures")) or "")
    copy.write_text("[]")
    flip_a_bit(Path("figures/samples.png"))
    (line,) = findings(cached)
    assert line.startswith("figures has changed (DVC's cache cannot tell which of its files)")
    assert str(copy) in line


def test_git_gives_back_what_it_holds(published: Workspace) -> None:
    for arguments in (["init", "-q"], ["add", "metrics"]):
        subprocess.run(["git", *arguments], check=True)
    flip_a_bit(Path("metrics/one.json"))
    assert findings(published) == ["metrics/one.json has changed: `git checkout metrics/one.json`"]


@pytest.mark.parametrize("kind", ["outs", "metrics"])
def test_what_dvc_leaves_to_git_is_not_asked_of_its_cache(cached: Workspace, kind: str) -> None:
    """DVC's cache has its bytes for the run cache, and yet `dvc checkout` would not bring them back."""
    outs = ["results/one", {"metrics/${item.network}.json": {"cache": False}}]
    Path("dvc.yaml").write_text(json.dumps({"stages": {"evaluate": {kind: outs}}}))  # JSON is YAML
    flip_a_bit(Path("metrics/one.json"))
    assert findings(cached) == ["metrics/one.json has changed: `dvc repro evaluate@one`"]


def test_the_cache_may_lie_elsewhere(cached: Workspace) -> None:
    Path(".dvc/cache").rename("elsewhere")
    Path(".dvc/config").write_text("[core]\n    autostage = false\n[cache]\n    dir = ../elsewhere\n")
    flip_a_bit(Path("figures/samples.png"))
    assert findings(cached)[0].startswith("figures/samples.png has changed: delete figures")


def test_a_stage_made_from_another_version_is_named(cached: Workspace) -> None:
    lock = lockfile.LOCK.read_text()
    split = lockfile.md5_of(Path("data/split")) or ""
    head, _, tail = lock.partition("  export@one:")
    lockfile.LOCK.write_text(f"{head}  export@one:{tail.replace(split, '0' * 32 + '.dir', 1)}")
    (line,) = findings(cached)
    assert line == "export@one was made from another data/split than the one recorded: `dvc repro export@one`"


def test_a_folder_has_the_md5_that_dvc_gives_it(tmp_path: Path) -> None:
    """The figure is that of `dvc add`, DVC 3.67."""
    for name, text in {"año.txt": "uno", "sub/b": "dos", "Z": "tres"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert lockfile.md5_of(tmp_path) == "b9990242de88d7928831869a96ad1f75.dir"


@pytest.mark.parametrize(
    "text", ["", "schema: '2.0'", "stages: [", "stages: 3", "stages: {split: {cmd: a, outs: [{path: b}]}}", "\0"]
)
def test_a_damaged_lock_is_one_line(workspace: Workspace, text: str) -> None:
    lockfile.LOCK.write_text(text)
    outcome = workspace.run("verify")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("error: dvc.lock is damaged (")
    assert outcome.err.count("\n") == 1


def test_no_lock_is_one_line(workspace: Workspace) -> None:
    outcome = workspace.run("verify")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert "dvc.lock is not here" in outcome.err


def test_an_unknown_stage_is_one_line(cached: Workspace) -> None:
    outcome = cached.run("verify", "--again", "train@on")
    assert outcome.code == 2
    assert "unknown stage 'train@on': did you mean 'train@one'?" in outcome.err


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One network, trained in a process of its own and recorded."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        publish_split()
        values = Workspace(folder, patch, None)  # type: ignore[arg-type]
        values.set(models__mlp_64_128__epochs=1, models__mlp_64_128__batch_size=50)
        assert shell("-m", "stages.train", NETWORK).code == 0
        patch.setitem(recorded.OUTS, f"train@{NETWORK}", [f"weights/{NETWORK}"])
        patch.setitem(recorded.DEPS, f"train@{NETWORK}", ["data/split"])
        recipe = values.params["models"][NETWORK]
        recorded.record(
            {f"train@{NETWORK}": f"python -m stages.train {NETWORK}"},
            {f"train@{NETWORK}": {"seed": 123, "threads": 1, f"models.{NETWORK}": recipe}},
        )
    return folder


def again(folder: Path) -> Outcome:
    return shell("-m", "cifra.verify", "--again", f"train@{NETWORK}", cwd=folder)


@pytest.mark.slow
def test_a_repeated_training_gives_the_same_bytes(trained: Path) -> None:
    outcome = again(trained)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines()[-1] == f"train@{NETWORK}: the same bytes in 1 outputs"


@pytest.mark.slow
def test_the_tensor_that_differs_is_named_with_the_difference(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "weights" / NETWORK / "weights.safetensors"
    weights = load_file(path)
    weights["fc2.bias"][3] += 0.5
    save_file(weights, path)
    outcome = again(tmp_path)
    assert outcome.code == 1
    (line,) = outcome.out.splitlines()[1:]
    assert line.startswith(f"weights/{NETWORK}/weights.safetensors differs: tensor fc2.bias first, by 5.0e-01 at most")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda root: flip_a_bit(root / "data/split/images.safetensors"), "data/split has changed since"),
        (lambda root: shutil.rmtree(root / "data/split"), "data/split is missing since"),
        (
            lambda root: (root / "params.yaml").write_text((root / "params.yaml").read_text().replace("123", "124")),
            "seed",
        ),
    ],
    ids=["data", "no data", "seed"],
)
def test_only_from_the_same_inputs_is_a_stage_repeated(
    trained: Path, workspace: Workspace, change: object, said: str
) -> None:
    shutil.copytree(trained, workspace.root, dirs_exist_ok=True)
    assert callable(change)
    change(workspace.root)
    outcome = workspace.run("verify", "--again", f"train@{NETWORK}")
    assert outcome.code == 2
    assert said in outcome.err
    assert "run `dvc repro" in outcome.err


@pytest.mark.parametrize(
    ("name", "before", "after", "said"),
    [
        ("a.csv", b"a\n1\n2\n", b"a\n1\n3\n", "first in line 3"),
        ("a.json", b"{}\n", b"{}\n\n", "first in line 2"),
        ("a.onnx", b"abcd", b"abXd", "first in byte 2 (4 bytes before, 4 now)"),
        ("a.png", b"abcd", b"ab", "first in byte 2 (4 bytes before, 2 now)"),
        ("a.safetensors", b"abcd", b"ab", "cannot be read"),
    ],
)
def test_where_two_files_part_is_said(tmp_path: Path, name: str, before: bytes, after: bytes, said: str) -> None:
    for folder, data in (("old", before), ("new", after)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_bytes(data)
    (line,) = repeat.compare(tmp_path / "old", tmp_path / "new")
    assert said in line
    assert line.startswith(str(tmp_path / "old" / name))


def test_other_shapes_are_said(tmp_path: Path) -> None:
    for folder, size in (("old", 2), ("new", 3)):
        (tmp_path / folder).mkdir()
        save_file({"a": np.zeros(size, np.float32)}, tmp_path / folder / "a.safetensors")
    (line,) = repeat.compare(tmp_path / "old", tmp_path / "new")
    assert line.endswith("other tensors, or tensors of another shape")


def test_files_on_one_side_alone_are_said(tmp_path: Path) -> None:
    for folder, name in (("old", "a"), ("new", "b")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).touch()
    lines = list(repeat.compare(tmp_path / "old", tmp_path / "new"))
    assert [line.split("/")[-1] for line in lines] == ["a is not made again", "b is new"]
