"""Saying words and numbers in one language."""

from pathlib import Path
from typing import Any

import numpy as np
from ruamel.yaml import YAML

LANGUAGES = ("en", "es")
WORDS: dict[str, list[str]] = YAML(typ="safe").load(Path(__file__).with_suffix(".yaml").read_bytes())
NARROW_SPACE = "\u202f"
SPACE = "\u00a0"


def clipped(name: str, letters: int = 12) -> str:
    return name if len(name) <= letters else f"{name[: letters - 1]}…"


class Translator:
    """t("epoch"), t.number(1.5), t.percent(0.973), t.count(61706) in one language."""

    def __init__(self, language: str) -> None:
        self.language = language

    def __call__(self, key: str, **values: Any) -> str:
        return WORDS[key][LANGUAGES.index(self.language)].format(**values)

    def number(self, value: float, decimals: int = 2) -> str:
        return self._marks(f"{value:z,.{decimals}f}")

    def short(self, value: float) -> str:
        """Three significant digits, none of them a zero at the end."""
        return self._marks(np.format_float_positional(value + 0.0, 3, unique=False, fractional=False, trim="-"))

    def percent(self, share: float, decimals: int = 1) -> str:
        return self.number(100 * share, decimals) + ("%" if self.language == "en" else f"{SPACE}%")

    def probability(self, share: float, decimals: int = 1) -> str:
        """As a percentage that says 100 only where it is 1."""
        highest = 1 - 10.0 ** -(decimals + 2)
        if highest < share < 1:
            return f">{NARROW_SPACE}{self.percent(highest, decimals)}"
        return self.percent(share, decimals)

    def count(self, value: float) -> str:
        """Thousands apart; Spanish leaves four digits together."""
        text = f"{value:,.0f}"
        return text.replace(",", "") if self.language == "es" and value < 10_000 else self._marks(text)

    def _marks(self, text: str) -> str:
        text = text.replace("-", "−")
        return text if self.language == "en" else text.replace(",", NARROW_SPACE).replace(".", ",")
