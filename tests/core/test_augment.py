import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from stages.core.data.augment import augment
from stages.core.data.settings import Augment

EVERYTHING = Augment(
    rotation=10, shear=0.2, scale=0.1, shift=2, elastic=1, stroke=0.5, random_erasing=4, horizontal_flip=True
)
EACH = [{name: value} for name, value in EVERYTHING.model_dump().items()]


def changed(images: Tensor, seed: int = 0, **settings: float) -> Tensor:
    return augment(images, Augment(**settings), torch.Generator().manual_seed(seed))


def boxes(count: int = 1, channels: int = 1, height: int = 28, width: int = 28) -> Tensor:
    images = torch.zeros(count, channels, height, width, dtype=torch.uint8)
    images[:, :, height // 3 : 2 * height // 3, width // 4 : width // 2] = 255
    return images


def centres(images: Tensor) -> Tensor:
    """[N, 2]: x and y of the mass of each one's first channel, in pixels."""
    weights = images[:, 0].double() / images[:, 0].double().sum((1, 2), keepdim=True)
    y, x = torch.meshgrid(*(torch.arange(size) + 0.5 for size in images.shape[2:]), indexing="ij")
    return torch.stack([(weights * x).sum((1, 2)), (weights * y).sum((1, 2))], dim=1)


@pytest.mark.parametrize("shape", [(3, 1, 28, 28), (2, 3, 32, 20), (1, 1, 8, 8), (5, 1, 1, 1)])
def test_without_settings_an_image_stays_as_it_is(shape: tuple[int, ...]) -> None:
    images = torch.randint(0, 256, shape, dtype=torch.uint8)
    torch.testing.assert_close(changed(images), images / 255, atol=1e-5, rtol=0)


@pytest.mark.parametrize("settings", [*EACH, EVERYTHING.model_dump()], ids=lambda settings: "+".join(settings))
@pytest.mark.parametrize("shape", [(40, 1, 28, 28), (40, 3, 21, 34)])
def test_every_setting_changes_images_within_their_range(settings: dict[str, float], shape: tuple[int, ...]) -> None:
    images = boxes(*shape)
    values = changed(images, **settings)
    assert (values.shape, values.dtype) == (images.shape, torch.float32)
    assert 0 <= values.min() <= values.max() <= 1
    assert not torch.allclose(values, images / 255, atol=0.05)


def test_the_seed_decides_every_value() -> None:
    settings = EVERYTHING.model_dump()
    first, again, other = (changed(boxes(6), seed, **settings) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_images_are_changed_each_in_its_own_way() -> None:
    values = changed(boxes(20), rotation=10)
    assert len({image.numpy().tobytes() for image in values}) == 20


def test_changing_one_setting_leaves_the_chance_of_the_others() -> None:
    shifted, also_erased = changed(boxes(9), shift=3), changed(boxes(9), shift=3, random_erasing=5)
    kept = also_erased > 0
    assert torch.equal(also_erased[kept], shifted[kept])


def test_all_channels_move_together() -> None:
    values = changed(boxes(5, channels=3), **EVERYTHING.model_dump())
    assert torch.equal(values[:, 0], values[:, 1])
    assert torch.equal(values[:, 0], values[:, 2])


def test_a_shift_is_in_pixels_and_reaches_its_limit_on_every_side() -> None:
    moved = centres(changed(boxes(500), shift=3)) - centres(boxes())
    assert moved.abs().max() <= 3.01
    assert moved.amax(0).min() > 2.8
    assert moved.amin(0).max() < -2.8


def test_a_zoom_is_a_share_of_width_and_of_height() -> None:
    ink = changed(boxes(500), scale=0.2)
    own = boxes() / 255
    for axis in (2, 3):
        sides = ink.sum(axis).amax((1, 2)) / own.sum(axis).amax((1, 2))
        assert 0.79 < sides.min() < 0.82
        assert 1.18 < sides.max() < 1.21


@pytest.mark.parametrize(("height", "width"), [(28, 28), (28, 56), (56, 28)])
def test_a_turn_is_in_degrees_whatever_the_shape_of_the_image(height: int, width: int) -> None:
    """The mass of a spot beside the centre goes round on a circle."""
    spot = torch.zeros(400, 1, height, width, dtype=torch.uint8)
    spot[:, :, height // 2 - 1 : height // 2 + 1, width // 2 + 7 : width // 2 + 9] = 255
    x, y = (centres(changed(spot, rotation=30)) - torch.tensor([width / 2, height / 2])).unbind(1)
    angles = torch.rad2deg(torch.atan2(y, x)).abs()
    assert 28 < angles.max() < 32
    torch.testing.assert_close(torch.hypot(x, y), torch.full((400,), 8.0, dtype=torch.double), atol=0.3, rtol=0)


def test_a_slant_moves_rows_aside_and_no_row_up() -> None:
    stripe = torch.zeros(200, 1, 28, 28, dtype=torch.uint8)
    stripe[:, :, 6:8, 13:15] = 255  # seven pixels above the centre
    moved = centres(changed(stripe, shear=0.3)) - torch.tensor([14.0, 7.0])
    assert moved[:, 1].abs().max() < 0.1
    assert 1.9 < moved[:, 0].abs().max() < 2.2


def test_bending_pulls_by_at_most_its_pixels_and_parts_differently() -> None:
    spots = torch.zeros(300, 1, 28, 28, dtype=torch.uint8)
    spots[:, :, 5:7, 5:7] = 255
    near = centres(changed(spots, elastic=2.0)) - torch.tensor([6.0, 6.0])
    far = centres(changed(spots.flip(3), elastic=2.0)) - torch.tensor([22.0, 6.0])
    assert near.abs().max() < 3
    assert (near - far).abs().max() > 1.5


def test_strokes_grow_thicker_and_thinner() -> None:
    ink = changed(boxes(300), stroke=1).sum((1, 2, 3)) / (boxes() / 255).sum()
    assert ink.min() < 0.6
    assert ink.max() > 1.4
    assert 0.9 < ink.mean() < 1.1


def test_half_of_the_images_are_mirrored() -> None:
    images = boxes(1000)
    values = changed(images, horizontal_flip=True)
    mirrored = torch.isclose(values, images.flip(3) / 255, atol=1e-4).all(3).all(2).all(1)
    same = torch.isclose(values, images / 255, atol=1e-4).all(3).all(2).all(1)
    assert bool((mirrored ^ same).all())
    assert 430 < int(mirrored.sum()) < 570


def test_a_square_is_erased_anywhere() -> None:
    full = torch.full((500, 1, 28, 28), 255, dtype=torch.uint8)
    erased = (changed(full, random_erasing=6) < 0.5).sum((1, 2, 3))
    assert erased.max() <= 49
    assert (erased == 36).float().mean() > 0.5
    assert bool((changed(full, random_erasing=6) < 0.5).any(0).all())


def test_bf16_around_it_does_not_blur_positions() -> None:
    settings = EVERYTHING.model_dump()
    alone = changed(boxes(8), **settings)
    with torch.autocast("cpu", torch.bfloat16):
        within = changed(boxes(8), **settings)
    assert torch.equal(alone, within)


def test_the_images_themselves_are_left_alone() -> None:
    images = boxes(4)
    changed(images, **EVERYTHING.model_dump())
    assert torch.equal(images, boxes(4))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_changes_images_as_the_cpu_does() -> None:
    settings = EVERYTHING.model_dump()
    elsewhere = changed(boxes(8).cuda(), **settings)
    assert elsewhere.device.type == "cuda"
    torch.testing.assert_close(elsewhere.cpu(), changed(boxes(8), **settings), atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    "settings", [{"rotation": 181}, {"scale": 1}, {"stroke": 1.5}, {"shift": -1}, {"elastic": -0.1}, {"spin": 3}]
)
def test_impossible_settings_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Augment(**settings)
