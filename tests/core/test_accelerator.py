import pytest
import torch

from stages.core.cli.errors import UserError
from stages.core.training import accelerator


def present(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: "cuda" in names)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: "mps" in names)


@pytest.mark.parametrize(
    ("there", "chosen"), [((), "cpu"), (("mps",), "mps"), (("cuda",), "cuda"), (("cuda", "mps"), "cuda")]
)
def test_auto_takes_the_fastest_there_is(monkeypatch: pytest.MonkeyPatch, there: tuple[str, ...], chosen: str) -> None:
    present(monkeypatch, *there)
    assert accelerator.resolve("auto") == chosen


def test_the_cpu_is_always_there(monkeypatch: pytest.MonkeyPatch) -> None:
    present(monkeypatch, "cuda", "mps")
    assert accelerator.resolve("cpu") == "cpu"


@pytest.mark.parametrize("wanted", ["cuda", "mps"])
def test_one_that_is_absent_is_one_line(monkeypatch: pytest.MonkeyPatch, wanted: str) -> None:
    present(monkeypatch)
    with pytest.raises(
        UserError, match=rf"^accelerator {wanted} is not on this machine, which has cpu: .*params\.yaml"
    ):
        accelerator.resolve(wanted)


def test_the_seed_fixes_every_draw() -> None:
    draws = []
    for _ in range(2):
        accelerator.make_deterministic(7, 1)
        draws.append(torch.rand(5))
    assert torch.equal(*draws)


def test_what_cannot_be_repeated_is_an_error() -> None:
    torch.use_deterministic_algorithms(False)
    accelerator.make_deterministic(7, 1)
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.backends.cudnn.benchmark


def test_threads_are_pinned() -> None:
    accelerator.make_deterministic(7, 2)
    assert torch.get_num_threads() == 2
    accelerator.make_deterministic(7, 1)
    assert torch.get_num_threads() == 1
