"""The page's modules in node, without a browser. Without node these tests skip."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[2] / "serve" / "page"


def node(script: str, *arguments: object, timeout: float = 120) -> Any:
    """What a script prints as JSON; in it `page` is the folder of the modules, `args` its arguments."""
    program = shutil.which("node")
    if program is None:
        pytest.skip("there is no node: apt-get install nodejs")
    head = f"""
        import {{ readFileSync, writeFileSync }} from "node:fs";
        const page = {json.dumps(PAGE.as_uri())};
        const args = process.argv.slice(1);
        const bytesOf = (path) => Uint8Array.from(readFileSync(path));
    """
    command = [program, "--no-warnings", "--input-type=module", "--eval", head + script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if done.stdout else None
