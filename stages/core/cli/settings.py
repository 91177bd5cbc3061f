"""What every section of params.yaml shares."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Units = Annotated[list[Count], Field(min_length=1)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def unknown(kind: str, name: str, known: Sequence[str], where: str) -> str:
    lasts = {one.rpartition(".")[2]: one for one in known}  # all share what is before the last dot
    close = get_close_matches(name.rpartition(".")[2], lasts, 1)
    hint = f"did you mean '{lasts[close[0]]}'? " if close else ""
    return f"unknown {kind} '{name}': {hint}allowed is {where}: {', '.join(known)}"
