"""Saying words and numbers in one language."""

from typing import Any

from stages.core.figures.vocabulary import WORDS

MINUS = "−"
NARROW_SPACE = "\u202f"
SPACE = "\u00a0"


class Translator:
    """t("epoch"), t.number(1.5), t.percent(0.973), t.count(61706) in one language."""

    def __init__(self, language: str) -> None:
        self.language = language

    def __call__(self, key: str, **values: Any) -> str:
        return WORDS[self.language][key].format(**values)

    def number(self, value: float, decimals: int = 2) -> str:
        return self._marks(f"{value:z,.{decimals}f}".replace("-", MINUS))

    def brief(self, value: float) -> str:
        """Two to three significant digits."""
        decimals = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
        return self.number(value, decimals)

    def percent(self, share: float, decimals: int = 1) -> str:
        return self.number(100 * share, decimals) + self.sign

    @property
    def sign(self) -> str:
        return "%" if self.language == "en" else f"{SPACE}%"

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
        if self.language == "en":
            return text
        return text.replace(",", NARROW_SPACE).replace(".", ",")
