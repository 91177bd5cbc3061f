"""The tools around the pipeline.

cifra VERB [ARGUMENTS]
"""

import runpy
import sys

VERBS = ("doctor", "quantize", "results", "trace", "ui", "verify")


def main() -> None:
    verb = sys.argv[1] if len(sys.argv) > 1 else ""
    if verb not in VERBS:
        sys.exit(f"usage: cifra {{{','.join(VERBS)}}} ...")
    del sys.argv[0]
    runpy.run_module(f"cifra.{verb}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
