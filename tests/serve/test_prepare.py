import io
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from bench.drawings import AS_THEY_ARE, KINDS, drawings
from serve.inference.model import Model
from serve.pictures.prepare import MAX_BYTES, MAX_PIXELS, PrepareError, TooLargeError, frame, prepare, prepare_for

ROOT = Path(__file__).parents[2]
MNIST = ROOT.parent / "shared" / "data" / "MNIST"
CHAMPION = ROOT / "champion" / "champion.onnx"
TWO = ((0.1, 0.3), (0.2, 0.05), (0.5, 0.0), (0.7, 0.2), (0.6, 0.45), (0.0, 1.0), (0.75, 0.95))
needs_mnist = pytest.mark.skipif(not MNIST.is_dir(), reason="needs MNIST's files in ../shared/data/MNIST")


def drawn(
    size: tuple[int, int] = (280, 280),
    *,
    ink: Any = 0,
    paper: Any = 255,
    mode: str = "L",
    pen: int = 20,
    length: int = 150,
    at: tuple[int, int] = (70, 60),
) -> Image.Image:
    """A 2, its corner at `at`."""
    image = Image.new(mode, size, paper)
    points = [(at[0] + length * x, at[1] + length * y) for x, y in TWO]
    ImageDraw.Draw(image).line(points, ink, pen, "curve")
    return image


def encoded(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def likeness(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


CLEAN = prepare(drawn())


@pytest.mark.parametrize(("size", "box"), [(28, 20), (32, 23)])
@pytest.mark.parametrize("shape", [(8, 8), (28, 28), (40, 300), (300, 40), (1, 1), (500, 1)])
def test_frame_fits_the_longer_side_into_the_box(shape: tuple[int, int], size: int, box: int) -> None:
    framed = frame(np.ones(shape), size)
    rows, columns = framed.any(axis=1).sum(), framed.any(axis=0).sum()
    assert framed.shape == (size, size)
    assert max(rows, columns) == box
    assert min(rows, columns) == max(1, round(box * min(shape) / max(shape)))


def test_frame_puts_the_centre_of_mass_at_the_centre() -> None:
    ink = np.zeros((50, 50))
    ink[10:40, 5:8] = 1
    ink[36:40, 5:30] = 1
    framed = frame(ink).astype(float)
    for axis in (0, 1):
        centre = framed.sum(axis=axis) @ np.arange(28) / framed.sum()
        assert centre == pytest.approx(14, abs=0.5)


def test_frame_loses_no_ink_at_the_edge() -> None:
    ink = np.zeros((200, 200))
    ink[:, :2] = 1
    ink[:3, :] = 1
    ink[:20, :20] = 1
    assert (frame(ink) > 0).any(axis=0).sum() == 20


@pytest.mark.parametrize("unit", [1, 16, 255])
def test_frame_takes_any_unit_and_fills_the_range(unit: int) -> None:
    ink = np.triu(np.ones((10, 10))) * unit
    assert frame(ink).max() == 255
    assert np.array_equal(frame(ink), frame(np.triu(np.ones((10, 10)))))


def test_frame_of_nothing_is_empty() -> None:
    assert not frame(np.zeros((9, 9))).any()


def test_frame_leaves_what_is_framed() -> None:
    assert np.abs(frame(CLEAN).astype(int) - CLEAN).max() <= 2


@needs_mnist
def test_mnist_comes_through_unchanged() -> None:
    for picture, _ in drawings(AS_THEY_ARE, MNIST, 200):
        pixels = np.asarray(Image.open(io.BytesIO(picture)))
        assert np.abs(prepare(picture).astype(int) - pixels).max() <= 2


def test_a_framed_picture_comes_through_unchanged() -> None:
    assert np.array_equal(prepare(encoded(Image.fromarray(CLEAN))), CLEAN)


def test_a_framed_picture_on_white_is_inverted() -> None:
    assert np.array_equal(prepare(encoded(Image.fromarray(255 - CLEAN))), CLEAN)


def test_the_same_bytes_give_the_same_pixels() -> None:
    picture = encoded(shaded(drawn()), "JPEG")
    assert prepare(picture).tobytes() == prepare(picture).tobytes()


def test_bytes_and_images_are_alike() -> None:
    assert np.array_equal(prepare(encoded(drawn())), CLEAN)


def test_other_sizes() -> None:
    assert prepare(drawn(), 32).shape == (32, 32)


def shaded(image: Image.Image, dark: float = 0.5) -> Image.Image:
    """A slope of light, the edge of a shadow, and noise."""
    pixels = np.asarray(image, float)
    y, x = np.mgrid[0 : 1 : pixels.shape[0] * 1j, 0 : 1 : pixels.shape[1] * 1j]
    light = 1 - dark * (0.6 * x + 0.4 / (1 + np.exp(-30 * (y + 0.3 * x - 0.6))))
    noise = np.random.default_rng(0).normal(0, 4, pixels.shape)
    return Image.fromarray((pixels * light + noise).clip(0, 255).astype(np.uint8))


def speckled(image: Image.Image) -> Image.Image:
    for x, y in np.random.default_rng(1).integers(0, 280, (30, 2)).tolist():
        ImageDraw.Draw(image).rectangle((x, y, x + 2, y + 2), 90)
    return image


def boxed(image: Image.Image) -> Image.Image:
    ImageDraw.Draw(image).rectangle((10, 12, 268, 265), None, 40, 3)
    return image


def ruled(image: Image.Image) -> Image.Image:
    lines = ImageOps.invert(Image.new("L", image.size))
    for y in range(15, 280, 32):
        ImageDraw.Draw(lines).line((0, y, 280, y + 5), 205, 2)
    return Image.fromarray(np.minimum(np.asarray(lines), np.asarray(image)))


def plotted(image: Image.Image) -> Image.Image:
    page = Image.new("L", (400, 380), 255)
    page.paste(image, (60, 50))
    return page


PAGES: dict[str, Callable[[], Image.Image]] = {
    "light on dark": lambda: drawn(ink=255, paper=0),
    "grey on grey": lambda: drawn(ink=110, paper=150),
    "in a corner": lambda: drawn(at=(12, 12)),
    "small": lambda: drawn((1200, 900), at=(800, 500), length=120, pen=16),
    "large": lambda: drawn((1500, 1500), length=1200, pen=160, at=(150, 150)),
    "thin": lambda: drawn((1000, 1000), length=700, pen=4, at=(100, 100)),
    "thick": lambda: drawn(pen=32),
    "yellow on white": lambda: drawn(ink=(255, 210, 0), paper=(255, 255, 255), mode="RGB"),
    "red on blue": lambda: drawn(ink=(200, 30, 30), paper=(40, 60, 200), mode="RGB"),
    "black on nothing": lambda: drawn(ink=(0, 0, 0, 255), paper=(0, 0, 0, 0), mode="RGBA"),
    "white on nothing": lambda: drawn(ink=(255, 255, 255, 255), paper=(255, 255, 255, 0), mode="RGBA"),
    "shaded": lambda: shaded(drawn()),
    "shaded board": lambda: shaded(drawn(ink=230, paper=70)),
    "faint and shaded": lambda: shaded(drawn(ink=180, pen=8)),
    "speckled": lambda: speckled(drawn()),
    "boxed": lambda: boxed(drawn()),
    "boxed and shaded": lambda: shaded(boxed(drawn()), 0.3),
    "ruled and shaded": lambda: shaded(ruled(drawn()), 0.3),
    "black square on white": lambda: plotted(drawn(ink=255, paper=0)),
}


@pytest.mark.parametrize("page", PAGES)
def test_the_page_does_not_matter(page: str) -> None:
    assert likeness(prepare(PAGES[page]()), CLEAN) > 0.8


@pytest.mark.parametrize("table", [60, 130, 190])
@pytest.mark.parametrize("turned", [0, 6])
def test_a_sheet_of_paper_is_told_from_the_table(turned: float, table: int) -> None:
    photo, paper = Image.new("L", (400, 420), table), drawn(ink=30, paper=235)
    photo.paste(paper.rotate(turned), (50, 70), Image.new("L", paper.size, 255).rotate(turned))
    assert likeness(prepare(encoded(photo, "JPEG", quality=80)), CLEAN) > 0.8


def test_a_thick_light_stroke_is_no_sheet_of_paper() -> None:
    one = Image.new("L", (200, 200), 0)
    ImageDraw.Draw(one).rectangle((70, 20, 130, 180), 255)
    assert prepare(one).any(axis=0).sum() < 10


def test_a_bitmap_a_palette_and_cmyk_are_read() -> None:
    for mode in ("1", "P", "CMYK"):
        picture = encoded(drawn().convert(mode), "JPEG" if mode == "CMYK" else "PNG")
        assert likeness(prepare(picture), CLEAN) > 0.95


def test_a_palette_with_a_transparent_colour_is_read() -> None:
    picture = encoded(drawn().convert("P"), transparency=255)
    assert likeness(prepare(picture), CLEAN) > 0.95


def test_16_bits_are_not_clipped() -> None:
    light = np.asarray(drawn(ink=40, paper=120), np.uint16) * 257
    assert likeness(prepare(encoded(Image.fromarray(light))), CLEAN) > 0.95


def test_exif_orientation_is_honoured() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned a quarter clockwise
    turned = encoded(drawn().rotate(90), "JPEG", exif=exif, quality=95)
    assert likeness(prepare(turned), CLEAN) > 0.95


def test_the_first_picture_of_an_animation_counts() -> None:
    animation = encoded(drawn(), save_all=True, append_images=[Image.new("L", (280, 280), 255)])
    assert np.array_equal(prepare(animation), CLEAN)


def stroke(pixels: NDArray[np.uint8]) -> float:
    """How many pixels wide the middle of the 2's long slant is, across a row."""
    return float((pixels[14:18] / 255).sum(axis=1).mean())


@pytest.mark.parametrize("pen", [3, 45])
def test_strokes_get_the_usual_width(pen: int) -> None:
    assert stroke(prepare(drawn(pen=pen))) == pytest.approx(stroke(CLEAN), rel=0.55)


def test_a_framed_drawing_of_thin_strokes_gets_the_usual_width() -> None:
    thin = Image.new("L", (28, 28))
    ImageDraw.Draw(thin).line([(4 + 14 * x, 4 + 19 * y) for x, y in TWO], 255, 1)
    assert prepare(thin).sum() > 1.5 * np.asarray(thin, int).sum()


@pytest.mark.parametrize("ink", [0, 255])
def test_a_bar_cropped_to_its_ink_is_not_empty(ink: int) -> None:
    bar = Image.new("L", (60, 300), 255 - ink)
    ImageDraw.Draw(bar).line([(45, 0), (15, 300)], ink, 40)
    pixels = prepare(bar.filter(ImageFilter.GaussianBlur(6)).crop((0, 5, 60, 295)))
    assert pixels.any(axis=1).sum() == 20
    assert pixels.any(axis=0).sum() < 10


def test_two_digits_are_not_taken_for_one() -> None:
    both = Image.new("L", (560, 280), 255)
    both.paste(drawn(), (0, 0))
    both.paste(drawn(), (200, 0))
    assert likeness(prepare(both), CLEAN) < 0.5


@pytest.mark.parametrize(("dataset", "crisp"), [("mnist", True), ("digits", False)])
def test_edges_are_as_soft_as_those_of_the_data_set(dataset: str, crisp: bool) -> None:
    assert np.array_equal(prepare_for(model_of(dataset), drawn())[0], CLEAN) is crisp
    framed = Image.fromarray(CLEAN)
    assert np.array_equal(prepare_for(model_of(dataset), framed)[0], CLEAN)


def test_strokes_of_one_digit_stay_together() -> None:
    five = Image.new("L", (280, 280), 255)
    pencil = ImageDraw.Draw(five)
    pencil.line([(90, 70), (88, 130), (150, 125), (170, 170), (140, 215), (80, 210)], 0, 14, "curve")
    pencil.line([(108, 64), (180, 60)], 0, 14)
    assert (prepare(five)[:8, 16:] > 127).any()


def png_claiming(width: int, height: int) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(99)))


@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        (b"", "not a PNG or JPEG"),
        (b"seven", "not a PNG or JPEG"),
        (encoded(drawn(), "GIF"), "not a PNG or JPEG"),
        (encoded(drawn(), "TIFF"), "not a PNG or JPEG"),
        (encoded(drawn())[:400], "damaged"),
        (encoded(drawn(), "JPEG")[:900], "damaged"),
        (png_claiming(100, 100), "damaged"),
        (encoded(Image.new("L", (99, 99), 255)), "empty"),
        (encoded(Image.new("L", (99, 99), 0)), "empty"),
        (encoded(Image.new("RGBA", (99, 99))), "empty"),
        (encoded(Image.new("L", (1, 1), 7)), "empty"),
    ],
)
def test_bad_pictures_are_refused_in_one_line(picture: bytes, reason: str) -> None:
    with pytest.raises(PrepareError, match=reason) as caught:
        prepare(picture)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "picture",
    [
        encoded(drawn()) + bytes(MAX_BYTES),
        png_claiming(MAX_PIXELS["PNG"] // 1000 + 1, 1000),
        png_claiming(60_000, 60_000),
    ],
)
def test_too_large_pictures_are_refused_before_they_are_decoded(picture: bytes) -> None:
    with pytest.raises(TooLargeError, match="at most"):
        prepare(picture)


@pytest.mark.parametrize("seed", range(5))
def test_blank_paper_in_a_photo_has_no_ink(seed: int) -> None:
    noise = np.random.default_rng(seed).normal(180, 6, (600, 800))
    with pytest.raises(PrepareError, match="empty"):
        prepare(encoded(Image.fromarray(noise.clip(0, 255).astype(np.uint8)), "JPEG"))


def test_single_pixels_far_apart_are_no_ink() -> None:
    pixels = np.zeros((512, 512), np.uint8)
    pixels[50:450:80, 100] = 255
    with pytest.raises(PrepareError, match="empty"):
        prepare(encoded(Image.fromarray(pixels)))


@pytest.mark.parametrize("shape", [(1, 400), (400, 1), (3, 3), (28, 28), (2, 2)])
def test_any_shape_is_answered_or_refused(shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    with suppress(PrepareError):
        assert prepare(encoded(Image.fromarray(pixels))).shape == (28, 28)


def model_of(dataset: str, shape: tuple[int, int, int] = (1, 28, 28)) -> Any:
    return SimpleNamespace(metadata={"dataset": dataset}, input_shape=shape)


@pytest.mark.parametrize("shape", [(1, 28, 28), (1, 32, 32), (3, 28, 28)])
def test_digits_are_framed_for_a_model_that_knows_digits(shape: tuple[int, int, int]) -> None:
    pixels = prepare_for(model_of("mnist", shape), drawn())
    assert pixels.shape == shape
    assert np.array_equal(pixels[0], prepare(drawn(), shape[1]))


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 64, 48)])
def test_other_pictures_are_shown_whole_on_a_dark_ground(shape: tuple[int, int, int]) -> None:
    coat = Image.new("L", (200, 400), 250)
    ImageDraw.Draw(coat).rectangle((20, 20, 180, 380), 60)
    pixels = prepare_for(model_of("fashion_mnist", shape), encoded(coat))
    assert pixels.shape == shape
    assert pixels[0, shape[1] // 2, shape[2] // 2] == 195
    assert pixels[0, 0, 0] == 5


def test_a_picture_of_the_set_itself_is_left_as_it_is() -> None:
    coat = np.random.default_rng(0).integers(0, 90, (28, 28), np.uint8)
    assert np.array_equal(prepare_for(model_of("fashion_mnist"), encoded(Image.fromarray(coat)))[0], coat)


@pytest.mark.slow
@needs_mnist
@pytest.mark.parametrize("kind", KINDS)
def test_drawings_and_photos_are_recognised(kind: str) -> None:
    if not CHAMPION.exists() or (model := Model.load(CHAMPION)).metadata["dataset"] != "mnist":
        pytest.skip("needs a champion trained on MNIST: set `dataset: mnist` in params.yaml, then make")
    pictures, labels = zip(*drawings(kind, MNIST, 50), strict=True)
    answers = model.predict(np.stack([prepare_for(model, picture) for picture in pictures])).probabilities
    assert (answers.argmax(axis=1) == labels).mean() >= 0.92
