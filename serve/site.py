"""Write the page as a site that needs no server: from disk, from any static host, or mailed as one file.

    python -m serve page site                           a folder with index.html, for the smallest network of each kind
    python -m serve page site --models models/lenet_28.onnx models/simple_cnn.onnx
    python -m serve page digits.html --single-file      one HTML file

Browsers give a page opened from disk neither modules, workers nor files: so the modules become one script, and
networks (weights of 16 bits), test images and words another. Exit codes: 0 written, 2 it cannot be.
"""

import argparse
import base64
import json
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from serve.http import samples
from serve.http.files import PAGE
from serve.http.samples import Samples, SamplesError
from serve.inference.model import Model
from serve.protocol import describe
from serve.protocol.packed import packed

IMAGES = 500  # test images at most
FILES = ("index.html", "cifra.js", "data.js", "style.css", "parts.css", "theme.js", "icon.svg")
IMPORT = re.compile(r'^import \{([^}]*)\} from "\./(\w+)\.js";\n', re.MULTILINE)
EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const|class) (\w+))", re.MULTILINE)


def main(argv: list[str]) -> None:
    """Raises ValueError, OSError."""
    arguments = _parser().parse_args(argv)
    models = [Model.load(path) for path in arguments.models or chosen(Path("models"))]
    files = site(models)
    written = single(arguments.where, files) if arguments.single_file else folder(arguments.where, files)
    size = sum(path.stat().st_size for path in written) / 1e6
    print(f"{written[0]}: {', '.join(model.name for model in models)}, {size:.2f} MB; open it in a browser")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m serve page", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("where", type=Path, metavar="DIR", help="folder to write, or with --single-file the file")
    add("--models", type=Path, nargs="+", metavar="FILE",
        help="ONNX files (default: of models/ the smallest with convolutions and the smallest without)")  # fmt: skip
    add("--single-file", action="store_true", help="write one HTML file")
    return parser


def chosen(directory: Path) -> list[Path]:
    """Raises ValueError."""
    kinds: dict[bool, Path] = {}
    for path in sorted(directory.glob("*.onnx"), key=lambda path: (path.stat().st_size, path.name)):
        kinds.setdefault(any(node.op_type == "Conv" for node in Model.load(path).checked.proto.graph.node), path)
    if not kinds:
        raise ValueError(f"no ONNX file in {directory}; `make` trains and exports some, or name one with --models")
    return [kinds[kind] for kind in sorted(kinds, reverse=True)]


def site(models: list[Model]) -> dict[str, str]:
    """Each file's text. Raises ModelError for a network that the page cannot compute."""
    files = {name: (PAGE / name).read_text(encoding="utf-8") for name in FILES if (PAGE / name).is_file()}
    script = '<script defer src="data.js"></script>\n  <script defer src="cifra.js"></script>'
    files["index.html"] = files["index.html"].replace('<script type="module" src="main.js"></script>', script)
    return files | {"cifra.js": bundle("main"), "data.js": f"globalThis.cifraSite = {json.dumps(data(models))};\n"}


def data(models: list[Model]) -> dict[str, Any]:
    """As serve/page/api.js reads it."""
    networks = {
        model.name: {"about": describe.metadata(model), "network": _text(packed(model, half=True))} for model in models
    }
    words = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in (PAGE / "locales").glob("*.json")}
    return {"models": networks, "words": dict(sorted(words.items()))} | _samples(models)


def _samples(models: list[Model]) -> dict[str, Any]:
    """Those beside the models, where there are any."""
    folders = dict.fromkeys(model.path.absolute().parent for model in models)
    try:
        found: Samples = samples.find([*folders, *(folder.parent / "samples" for folder in folders)])
    except SamplesError:
        return {"facts": None, "images": "", "planes": 1}
    facts = json.loads(found.facts)
    facts["labels"] = facts["labels"][:IMAGES]
    known = {model.sha256 for model in models}
    facts["networks"] = {
        name: record | {"predicted": record["predicted"][:IMAGES]}
        for name, record in facts["networks"].items()
        if record["sha256"] in known
    }
    return {
        "facts": facts,
        "planes": found.images.shape[1],
        "images": _text(zlib.compress(np.asarray(found.images[:IMAGES]).tobytes(), 9)),
    }


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def bundle(name: str) -> str:
    """A module and all that it imports as one classic script, each in a function of its own."""
    parts: dict[str, str] = {}
    _add(name, parts)
    return '"use strict";\nconst cifra = {};\n' + "".join(parts.values())


def _add(name: str, parts: dict[str, str]) -> None:
    code = (PAGE / f"{name}.js").read_text(encoding="utf-8")
    for _, imported in IMPORT.findall(code):
        if imported not in parts:
            _add(imported, parts)
    code = IMPORT.sub(lambda found: f"const {{{found[1].replace(' as ', ': ')}}} = cifra.{found[2]};\n", code)
    names = EXPORT.findall(code)
    code = EXPORT.sub("", code).replace("import.meta.url", "document.baseURI")
    parts[name] = f"cifra.{name} = (() => {{\n{code}return {{ {', '.join(names)} }};\n}})();\n"


def folder(where: Path, files: dict[str, str]) -> list[Path]:
    """Raises ValueError where something else is there, OSError."""
    if where.is_dir() and any(where.iterdir()) and not (where / "cifra.js").is_file():
        raise ValueError(f"{where} holds other files; name a folder that is empty or not there yet")
    where.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (where / name).write_text(text, encoding="utf-8")
    return [where / name for name in files]


def single(where: Path, files: dict[str, str]) -> list[Path]:
    """Raises ValueError, OSError."""
    if where.is_dir():
        raise ValueError(f"{where} is a folder; with --single-file name the file, such as {where / 'cifra.html'}")
    page = files["index.html"]
    for name, text in files.items():
        closed = text.replace("</", "<\\/")
        page = page.replace(f'<link rel="stylesheet" href="{name}">', f"<style>\n{text}</style>")
        page = page.replace(f'<script src="{name}"></script>', f"<script>\n{closed}</script>")
        page = page.replace(f'  <script defer src="{name}"></script>\n', "")
    icon = base64.b64encode(files["icon.svg"].encode()).decode()
    page = page.replace('href="icon.svg"', f'href="data:image/svg+xml;base64,{icon}"')
    scripts = "".join(
        "<script>\n" + files[name].replace("</", "<\\/") + "</script>\n" for name in ("data.js", "cifra.js")
    )
    where.parent.mkdir(parents=True, exist_ok=True)
    where.write_text(page.replace("</body>", scripts + "</body>"), encoding="utf-8")
    return [where]
