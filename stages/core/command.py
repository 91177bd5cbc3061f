"""What every stage shares on the command line: a real --help, exit codes, and errors in one line."""

import inspect
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stages.core.errors import UserError


def command(main: Callable[..., None], usage: str) -> None:
    """Run a stage from the shell. Exit codes: 0 done, 1 failed, 2 a mistake to mend, 130 interrupted."""
    parser = ArgumentParser(
        prog=f"python -m stages.{Path(inspect.getfile(main)).stem}",
        description=usage,
        formatter_class=RawDescriptionHelpFormatter,
    )
    for name in inspect.signature(main).parameters:
        parser.add_argument(name, help="an entry of models: in params.yaml")
    arguments: dict[str, Any] = vars(parser.parse_args())
    try:
        main(**arguments)
    except UserError as error:
        sys.exit(_say(error))
    except KeyboardInterrupt:
        sys.exit(130)


def _say(error: UserError) -> int:
    print(f"error: {error}", file=sys.stderr)
    return error.exit_code
