import pytest
import torch
from torch import Tensor, nn

from stages.core.networks.modules import Dropout, MaxPool2d


@pytest.mark.parametrize("share", [0.25, 0.5, 0.9])
def test_dropout_drops_its_share_and_keeps_the_mean(share: float) -> None:
    torch.manual_seed(1)
    values = Dropout(share)(torch.ones(100_001))
    assert float((values == 0).float().mean()) == pytest.approx(share, abs=0.01)
    assert float(values.mean()) == pytest.approx(1, abs=0.02 / (1 - share))
    assert len(values.unique()) == 2


def test_dropout_passes_the_gradient_of_what_it_kept() -> None:
    values = torch.ones(1000, requires_grad=True)
    dropped = Dropout(0.5)(values)
    dropped.sum().backward()
    assert values.grad is not None
    assert torch.equal(values.grad, dropped.detach())


def test_dropout_draws_anew_each_time_and_the_same_for_the_same_seed() -> None:
    def drawn(seed: int) -> list[list[float]]:
        torch.manual_seed(seed)
        return [Dropout(0.5)(torch.ones(64)).tolist() for _ in range(2)]

    assert drawn(1) == drawn(1)
    assert drawn(1)[0] != drawn(1)[1]


def test_dropout_does_nothing_outside_of_training() -> None:
    values = torch.rand(10)
    assert Dropout(0.5).eval()(values) is values


def pooled(layer: nn.Module, values: Tensor) -> tuple[Tensor, Tensor]:
    """What the layer answers, and the gradient of what entered when each answer counts differently."""
    values = values.clone(memory_format=torch.preserve_format).requires_grad_()
    answer = layer(values)
    answer.backward(torch.arange(answer.numel(), dtype=answer.dtype).view_as(answer))
    assert values.grad is not None
    return answer.detach(), values.grad


@pytest.mark.parametrize("size", [(28, 28), (13, 17), (16, 15), (5, 5)], ids=str)
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_pooling_is_torchs_own_to_the_bit(
    size: tuple[int, int], layout: torch.memory_format, dtype: torch.dtype
) -> None:
    torch.manual_seed(1)
    values = torch.randint(4, (3, 6, *size)).to(dtype).contiguous(memory_format=layout)  # of many equal values
    for ours, wanted in zip(pooled(MaxPool2d(2), values), pooled(nn.MaxPool2d(2), values), strict=True):
        assert torch.equal(ours, wanted)


def test_pooling_passes_on_what_is_not_a_number() -> None:
    values = torch.full((1, 1, 14, 14), torch.nan).contiguous(memory_format=torch.channels_last)
    assert MaxPool2d(2)(values).isnan().all()


@pytest.mark.parametrize("options", [{"padding": 1}, {"stride": 1}, {"ceil_mode": True}], ids=str)
def test_pooling_of_another_kind_is_torchs_own(options: dict[str, int]) -> None:
    values = torch.rand(2, 3, 15, 15).contiguous(memory_format=torch.channels_last)
    assert torch.equal(MaxPool2d(2, **options)(values), nn.MaxPool2d(2, **options)(values))
