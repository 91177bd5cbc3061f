import re
from pathlib import Path
from string import Formatter

import matplotlib
import numpy as np
import pytest
from PIL import Image

from stages.core.figures import inside, overview, style, tables
from stages.core.figures.words import WORDS, Translator


def placeholders(text: str) -> set[str | None]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize("key", WORDS)
def test_both_languages_fill_in_the_same_values(key: str) -> None:
    english, spanish = WORDS[key]
    assert english.strip()
    assert spanish.strip()
    assert placeholders(spanish) == placeholders(english)


@pytest.mark.parametrize(
    ("key", "term"), [("feature_map", "mapa de características"), ("validation_loss", "pérdida de validación")]
)
def test_spanish_uses_the_field_s_terms(key: str, term: str) -> None:
    assert Translator("es")(key) == term


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


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.0, "0"), (-0.0, "0"), (0.00123456, "0.00123"), (-2.0, "−2"), (29.04, "29"), (12345.0, "12300")],
)
def test_short_numbers_have_three_digits(value: float, said: str) -> None:
    assert Translator("en").short(value) == said


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
    result = overview.correlate(image, overview.EDGES)
    assert result.shape == (4, 4)
    np.testing.assert_allclose(result[:, 0], [0, 3, 3, 0])


def test_maps_are_alike_by_their_correlation() -> None:
    first = np.array([1.0, 2.0, 4.0])
    alike = inside.correlations(np.stack([first, 2 * first + 3, -first, np.ones(3)]))
    np.testing.assert_allclose(alike, [[1, 1, -1, 0], [1, 1, -1, 0], [-1, -1, 1, 0], [0, 0, 0, 0]], atol=1e-12)


def test_a_saved_figure_is_pixels_alone_on_pure_white(tmp_path: Path) -> None:
    with style.applied():
        image = Image.open(style.save(style.page("Época", "ñ á", height=1)[0], tmp_path / "figure.png"))
    assert image.info.keys() == {"dpi"}
    assert image.convert("RGB").getpixel((2, 2)) == (255, 255, 255)
    assert image.size == (1200, 150)


def test_a_users_matplotlibrc_changes_nothing(tmp_path: Path) -> None:
    def figure(name: str) -> bytes:
        with style.applied():
            figure, body = style.page("title", "note", height=2)
            body.subplots().plot([0, 1])
            return style.save(figure, tmp_path / name).read_bytes()

    plain = figure("plain.png")
    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "red", "lines.linewidth": 9, "savefig.dpi": 30}):
        assert figure("with.png") == plain


@pytest.mark.parametrize("module", sorted(Path(style.__file__).parent.glob("*.py")), ids=lambda path: path.stem)
def test_figures_are_drawn_without_pyplot_or_torch(module: Path) -> None:
    assert not re.search(r"pyplot|import torch|from torch", module.read_text(encoding="utf-8"))
