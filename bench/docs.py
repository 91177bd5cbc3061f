"""Write what README and docs/ take from elsewhere: tables from files, the reference from the code.

    python -m bench.docs            or `make docs`
    python -m bench.docs --check    changes nothing, names the pages that are stale

By cog: between `<!-- [[[cog show(…) ]]] -->` and `<!-- [[[end]]] -->` nothing is typed by hand.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import cogapp

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("README*.md"), *ROOT.glob("docs/*.md")])
PROLOGUE = "from bench import reference, tables; from bench.docs import show"


def language_of(page: Path) -> str:
    return "es" if page.suffixes[-2:] == [".es", ".md"] else "en"


def show(make: Callable[[str], str]) -> None:
    """Called from within a page, in whose language it writes."""
    import cog  # which exists only there

    cog.out(make(language_of(Path(cog.inFile))))


def main() -> int:
    how = ["--check", "--diff", "--check-fail-msg", "run `make docs`"] if "--check" in sys.argv else ["-r"]
    options = ["cog", "-U", "--verbosity=1", "-n", "utf-8", "-p", PROLOGUE, *how]
    return int(cogapp.Cog().main([*options, *map(str, PAGES)]))


if __name__ == "__main__":
    sys.exit(main())
