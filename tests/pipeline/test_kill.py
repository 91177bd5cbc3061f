"""kill -9 at random moments changes nothing: `make soak` does the same for as long as one wants."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import evidence, soak
from tests.cifra.test_verify import flip_a_bit
from tests.pipeline.conftest import Repository

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has neither SIGKILL nor process groups"),
]


def test_ten_kills_in_another_clone_end_in_the_bytes_of_an_unbroken_run(
    unbroken: soak.Unbroken, others: Iterator[Repository]
) -> None:
    """dvc.lock included."""
    outcomes = list(soak.soak(10, 1, unbroken, others))
    assert [str(outcome) for outcome in outcomes if outcome.troubles] == []
    assert len([outcome for outcome in outcomes if isinstance(outcome, soak.Kill)]) == 10


def test_other_bytes_and_leftovers_would_be_noticed(tmp_path: Path) -> None:
    """Proof that the test above has teeth."""
    for name in ("weights/a", "models/b.onnx", "dvc.lock"):
        path = tmp_path / "one" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"bytes")
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    assert evidence.differences(evidence.hashes(tmp_path / "one"), evidence.hashes(tmp_path / "two")) == []
    flip_a_bit(tmp_path / "two" / "weights" / "a")
    flip_a_bit(tmp_path / "two" / "dvc.lock")
    (tmp_path / "two" / "models" / ".b.onnx.1.partial").touch()
    found = evidence.differences(evidence.hashes(tmp_path / "one"), evidence.hashes(tmp_path / "two"))
    assert found == ["dvc.lock differs", "models/.b.onnx.1.partial differs", "weights/a differs"]
