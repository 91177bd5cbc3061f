import re
from pathlib import Path
from string import Formatter

import numpy as np
import pytest
from PIL import Image

from stages.core.figures import curves, maps, samples, style, tables
from stages.core.figures.drawing import picture_of
from stages.core.figures.style import Sheet
from stages.core.figures.vocabulary import ENGLISH, SPANISH
from stages.core.figures.words import Translator

FIGURES = Path(style.__file__).parent


def placeholders(text: str) -> set[str | None]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_both_languages_have_the_same_words() -> None:
    assert SPANISH.keys() == ENGLISH.keys()
    assert all(ENGLISH.values())
    assert all(SPANISH.values())


@pytest.mark.parametrize("key", ENGLISH)
def test_both_languages_fill_in_the_same_values(key: str) -> None:
    assert placeholders(SPANISH[key]) == placeholders(ENGLISH[key])


def test_every_word_is_used() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in FIGURES.glob("*.py") if path.name != "vocabulary.py")
    by_recipe = {"cross_entropy", "mse"}
    assert {key for key in ENGLISH if not re.search(f"[\"']{key}[\"']", source)} <= by_recipe


@pytest.mark.parametrize(("key", "term"), [("accuracy", "exactitud"), ("feature_map", "mapa de características")])
def test_spanish_uses_the_field_s_terms(key: str, term: str) -> None:
    assert SPANISH[key] == term


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", ["−1.50", "0.00", "97.3%", "61,706", "1,290", ">\u202f99.9%", "100.0%"]),
        ("es", ["−1,50", "0,00", "97,3\u00a0%", "61\u202f706", "1290", ">\u202f99,9\u00a0%", "100,0\u00a0%"]),
    ],
)
def test_numbers_are_written_as_the_language_does(language: str, said: list[str]) -> None:
    t = Translator(language)
    percents = [t.probability(0.99999), t.probability(1.0)]
    assert [t.number(-1.5), t.number(-0.001), t.percent(0.973), *map(t.count, (61706, 1290)), *percents] == said


def test_the_running_mean_is_that_of_each_window() -> None:
    values = np.random.default_rng(0).random(200)
    expected = [values[last - 60 : last].mean() for last in range(60, 201)]
    np.testing.assert_allclose(curves.running_mean(values), expected)


def test_a_short_training_has_no_running_mean() -> None:
    assert len(curves.running_mean([1.0] * 59)) == 0


@pytest.mark.parametrize(
    ("side", "kernel", "stride", "padding", "text"),
    [
        (28, 5, 1, 2, "(28 − 5 + 2·2) / 1 + 1 = 28"),
        (28, 3, 1, 0, "(28 − 3 + 2·0) / 1 + 1 = 26"),
        (11, 2, 2, 0, "⌊(11 − 2 + 2·0) / 2⌋ + 1 = 5"),
    ],
)
def test_the_formula_gives_the_size_of_the_output(side: int, kernel: int, stride: int, padding: int, text: str) -> None:
    row = {"input": [1, side, side], "kernel": kernel, "stride": stride, "padding": padding}
    assert tables.formula(row) == text


def test_the_edge_filter_is_largest_where_light_lies_below_dark() -> None:
    image = np.zeros((6, 6), np.uint8)
    image[3:] = 255
    result = samples.correlate(image, samples.EDGES)
    assert result.shape == (4, 4)
    np.testing.assert_allclose(result[:, 0], [0, 3, 3, 0])


def test_maps_are_alike_by_their_correlation() -> None:
    first = np.array([1.0, 2.0, 4.0])
    alike = maps.correlations(np.stack([first, 2 * first + 3, -first, np.ones(3)]))
    np.testing.assert_allclose(alike, [[1, 1, -1, 0], [1, 1, -1, 0], [-1, -1, 1, 0], [0, 0, 0, 1]], atol=1e-12)


def test_signed_values_are_white_at_zero_orange_above_and_blue_below() -> None:
    (white,), (orange,), (blue,) = style.coloured(np.array([[0.0], [1.0], [-1.0]]), 1.0, signed=True)
    assert white.tolist() == [255, 255, 255]
    assert orange[0] > orange[2]
    assert blue[2] > blue[0]


def test_a_layer_without_any_value_can_be_drawn() -> None:
    assert picture_of(np.zeros((3, 4, 4), np.float32)).dtype == np.uint8


def test_a_mosaic_keeps_every_picture_in_its_place() -> None:
    pictures = np.zeros((3, 2, 2, 3), np.uint8)
    pictures[:, ..., 0] = [[[10]], [[20]], [[30]]]
    page = style.mosaic(pictures, columns=2, width=1.0)
    height, width = page.shape[:2]
    assert width == pytest.approx(style.DPI, abs=2)
    quarters = [page[height // 4, width // 4], page[height // 4, 3 * width // 4], page[3 * height // 4, width // 4]]
    assert [quarter[0] for quarter in quarters] == [10, 20, 30]
    assert page[3 * height // 4, 3 * width // 4].tolist() == [255, 255, 255]


def test_a_saved_page_is_pixels_alone_on_pure_white(tmp_path: Path) -> None:
    with style.applied():
        Sheet("Época", "ñ á", body=1).save(tmp_path / "page.png")
    image = Image.open(tmp_path / "page.png")
    assert image.info.keys() == {"dpi"}
    assert image.convert("RGB").getpixel((2, 2)) == (255, 255, 255)
    assert image.width == style.WIDTH * style.DPI


def test_a_users_matplotlibrc_changes_nothing(tmp_path: Path) -> None:
    import matplotlib

    def page(name: str) -> bytes:
        with style.applied():
            sheet = Sheet("title", body=1)
            sheet.axes(1, 0, 2, 0.5).plot([0, 1])
            sheet.save(tmp_path / name)
        return (tmp_path / name).read_bytes()

    plain = page("plain.png")
    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "red", "lines.linewidth": 9}):
        assert page("with.png") == plain


@pytest.mark.parametrize("module", sorted(FIGURES.glob("*.py")), ids=lambda path: path.stem)
def test_figures_are_drawn_without_pyplot_or_torch(module: Path) -> None:
    assert not re.search(r"pyplot|import torch|from torch", module.read_text(encoding="utf-8"))
