"""Images of one's own: a folder for each class (torchvision's ImageFolder), perhaps below train/, validation/ and
test/; or `labels.csv` in the folder, with the columns path and label, and perhaps part and group.

All that is wrong with them is found before anything is trained, and named.
"""

import csv
import os
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from serve.pictures.decode import PHOTOGRAPHS, PrepareError
from serve.pictures.whole import MAX_PIXELS, whole
from stages.core.cli.errors import UserError
from stages.core.cli.progress import watched
from stages.core.data.settings import Folder

Array = NDArray[np.uint8]

PARTS = ("train", "validation", "test")
LABELS = "labels.csv"
LARGEST_SIDE = 64  # pixels, of images of several sizes where none is set
FILE_BYTES = 256 * 2**20
NAMED = 10  # faults that are told one by one
# Names that a picture file has; what else lies beside them, a note or a table, is none and is told.
BESIDE = {"thumbs.db", "desktop.ini"}  # which a system leaves in folders of pictures
ENDINGS = {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".dib", ".tif", ".tiff", ".mpo"}


class Item(NamedTuple):
    """A file with its name below the folder."""

    name: str
    label: str
    part: str
    group: str = ""


class Found(NamedTuple):
    """Of each part that there is: its images [N, C, H, W], what they are, and the files' names."""

    classes: tuple[str, ...]
    arrays: dict[str, NDArray[np.unsignedinteger[Any]]]
    names: dict[str, list[str]]


def read(settings: Folder) -> Found:
    """Raises UserError, with the first faults one a line."""
    folder = Path(settings.path)
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}: make it, or change folder.path in params.yaml")
    items = _ordered(_listed(folder) if (folder / LABELS).is_file() else _found(folder))
    classes = _classes(items, settings, folder)
    items = [item for item in items if item.label in set(classes)]
    _check_classes(items, classes, folder)
    pixels, digests = _decoded(folder, items, settings)
    _check_labels(items, digests)
    return _by_part(items, classes, pixels)


def _ordered(items: Iterable[Item]) -> list[Item]:
    """Files with numbers for names by their number, others mixed: not every recipe shuffles."""
    items = list(items)
    stems = [PurePosixPath(item.name).stem for item in items]
    if all(stem.isdecimal() for stem in stems):
        return [item for _, item in sorted(zip(map(int, stems), items, strict=True))]
    return sorted(items, key=lambda item: sha256(item.name.encode()).digest())


# What there is


def _found(folder: Path) -> Iterator[Item]:
    parts = [part for part in PARTS if (folder / part).is_dir()]
    if parts and "train" not in parts:
        raise UserError(f"{folder} has {parts[0]}/ but no train/: add it, or give each class a folder there")
    faults: list[str] = []
    found = [item for part in parts or ["train"] for item in _classes_of(folder, part if parts else "", faults)]
    _refuse(faults, "cannot be used")
    if not found:
        raise UserError(
            f"{folder} holds no images: give it a folder for each class with {', '.join(PHOTOGRAPHS)} files, "
            f"or a {LABELS}"
        )
    yield from found


def _classes_of(folder: Path, part: str, faults: list[str]) -> Iterator[Item]:
    """A hidden file, or a hidden folder, is nobody's image."""
    for place in sorted((folder / part).iterdir()):
        if place.is_dir() and not place.name.startswith("."):
            for path in _files(place, folder, faults):
                yield Item(path, _normal(place.name), part or "train")


def _normal(label: str) -> str:
    """An accent is one letter, whatever system the folder comes from."""
    return unicodedata.normalize("NFC", label)


def _files(place: Path, folder: Path, faults: list[str]) -> Iterator[str]:
    """Below it, however deep; a link that leads back up is not followed twice."""
    visited = set()
    for root, folders, names in os.walk(place, followlinks=True):
        here = os.stat(root)
        if (here.st_dev, here.st_ino) in visited:
            faults.append(f"{Path(root).relative_to(folder).as_posix()}: a link that loops; remove it")
            folders.clear()
            continue
        visited.add((here.st_dev, here.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(name for name in names if not name.startswith(".") and name.lower() not in BESIDE):
            path = (Path(root) / name).relative_to(folder).as_posix()
            if Path(name).suffix.lower() in ENDINGS:
                yield path
            else:
                faults.append(f"{path}: no picture by its name; remove it, or call it .png, .jpg, .webp, .bmp or .tiff")


def _listed(folder: Path) -> Iterator[Item]:
    """Of labels.csv."""
    table = folder / LABELS
    try:
        rows = list(csv.DictReader(table.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{table} cannot be read as UTF-8 text of comma-separated values: {error}") from None
    if not rows or not {"path", "label"} <= set(rows[0]):
        raise UserError(f"{table} needs a first line with the columns path and label, and a line for each image")
    faults, seen = [], set()
    for number, row in enumerate(rows, 2):
        name, label = (row["path"] or "").strip(), (row["label"] or "").strip()
        part = (row.get("part") or "").strip() or "train"
        fault = "has no label" if not label else "stands there twice" if name in seen else ""
        fault = fault or (f"is of the part {part!r}; there are {', '.join(PARTS)}" if part not in PARTS else "")
        if fault:
            faults.append(f"{LABELS}, line {number}: {name or 'no path'} {fault}")
            continue
        seen.add(name)
        yield Item(name, _normal(label), part, (row.get("group") or "").strip())
    _refuse(faults, f"mend {table}")


# What is wrong with it


def _classes(items: Sequence[Item], settings: Folder, folder: Path) -> tuple[str, ...]:
    there = sorted({item.label for item in items})
    unknown = [name for name in settings.classes or [] if name not in there]
    if unknown:
        raise UserError(
            f"params.yaml: folder.classes names {unknown[0]!r}, but {folder} has {', '.join(there[:NAMED])}"
        )
    return tuple(settings.classes or there)


def _check_classes(items: Sequence[Item], classes: Sequence[str], folder: Path) -> None:
    if len(classes) < 2:
        raise UserError(f"{folder} has the one class {classes[0]!r}: a network needs two or more to tell apart")
    counts = Counter((item.part, item.label) for item in items)
    parts = [part for part in PARTS if any(item.part == part for item in items)]
    faults = [
        f"class {label!r} and class {other!r}: their names differ in case alone; rename one"
        for label, other in pairwise(sorted(classes, key=str.casefold))
        if label.casefold() == other.casefold()
    ]
    groups = {(item.group, item.part) for item in items if item.group}
    faults += [
        f"group {group!r} stands in {part}/ and in another part: keep what belongs together in one"
        for group, part in sorted(groups)
        if any((group, other) in groups for other in PARTS[: PARTS.index(part)])
    ]
    faults += [
        f"class {label!r} has no image in {part}/: add some, or leave the class out by folder.classes in params.yaml"
        for part in parts
        for label in classes
        if not counts[part, label]
    ]
    if "test" not in parts or "validation" not in parts:
        faults += [
            f"class {label!r} has {counts['train', label]} images of which no parts can be made: "
            "add some, or leave the class out by folder.classes in params.yaml"
            for label in classes
            if 0 < counts["train", label] < 5 - len(parts)
        ]
    _refuse(faults, "the classes do not suffice")


def _check_labels(items: Sequence[Item], digests: Sequence[bytes]) -> None:
    """One picture is one thing; between parts, `split` tells of it."""
    same: dict[bytes, list[Item]] = defaultdict(list)
    for item, digest in zip(items, digests, strict=True):
        same[digest].append(item)
    faults = []
    for together in same.values():
        other = next((item for item in together if item.label != together[0].label), None)
        if other:
            faults.append(f"{together[0].name} and {other.name}: the same image under two labels; keep one")
    _refuse(faults, "labels contradict each other")


def _refuse(faults: Sequence[str], what: str) -> None:
    if faults:
        more = [f"… and {len(faults) - NAMED:,} more"] if len(faults) > NAMED else []
        raise UserError("\n  ".join([f"{len(faults):,} of your images: {what}.", *faults[:NAMED], *more]))


# Its pixels


def _decoded(folder: Path, items: Sequence[Item], settings: Folder) -> tuple[Array, list[bytes]]:
    """[N, C, side, side], and the hash of what each picture shows at that size."""
    side = settings.image_size or _side(folder, items)
    pixels = np.empty((len(items), settings.channels or 3, side, side), np.uint8)

    def decode(number: int) -> tuple[str, bytes]:
        """Why not, or nothing; and what tells the picture from others."""
        try:
            data = _bytes(folder / items[number].name)
            pixels[number] = whole(data, pixels.shape[1:], settings.fit, MAX_PIXELS)
        except PrepareError as error:
            return f"{items[number].name}: {error}; replace or remove it", b""
        return "", sha256(data).digest()

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        told = list(watched(pool.map(decode, range(len(items))), f"decoding {len(items):,} images", "image"))
    _refuse([fault for fault, _ in told if fault], "cannot be read")
    if settings.channels is None and _is_grey(pixels):
        pixels = pixels[:, :1]
    return pixels, [digest for _, digest in told]


def _bytes(path: Path) -> bytes:
    """Raises PrepareError."""
    try:
        size = path.stat().st_size
        if not size:
            raise PrepareError("the file is empty")
        if size > FILE_BYTES:
            raise PrepareError(f"the file has {size:,} bytes; at most {FILE_BYTES:,} are read")
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        raise PrepareError(getattr(error, "strerror", None) or str(error)) from None
    if len(data) != size:
        raise PrepareError("the file changed while it was read")
    return data


def _side(folder: Path, items: Sequence[Item]) -> int:
    """That of all images where it is one, and small."""
    sizes = set()
    for item in items:
        try:
            with Image.open(folder / item.name, formats=PHOTOGRAPHS) as image:
                sizes.add(image.size)
        except Exception:  # what is no picture is told when it is decoded
            continue
        if len(sizes) > 1:
            break
    width, height = next(iter(sizes), (LARGEST_SIDE, LARGEST_SIDE))
    return width if len(sizes) == 1 and width == height <= LARGEST_SIDE else LARGEST_SIDE


def _is_grey(pixels: Array) -> bool:
    return all((batch == batch[:, :1]).all() for batch in np.array_split(pixels, -(-len(pixels) // 1000)))


def _by_part(items: Sequence[Item], classes: Sequence[str], pixels: Array) -> Found:
    number = {label: index for index, label in enumerate(classes)}
    groups = {group: index for index, group in enumerate(sorted({item.group or item.name for item in items}))}
    kind = np.uint8 if len(classes) <= 256 else np.uint16
    arrays: dict[str, NDArray[np.unsignedinteger[Any]]] = {}
    names = {}
    for part in PARTS:
        here = [index for index, item in enumerate(items) if item.part == part]
        if not here:
            continue
        names[part] = [items[index].name for index in here]
        arrays[f"{part}_images"] = pixels[here]
        arrays[f"{part}_labels"] = np.array([number[items[index].label] for index in here], kind)
        if part == "train" and any(item.group for item in items):
            arrays["train_groups"] = np.array(
                [groups[items[index].group or items[index].name] for index in here], np.uint32
            )
    return Found(tuple(classes), arrays, names)
