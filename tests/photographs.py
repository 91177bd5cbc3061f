"""Photographs of one's own, made of shapes and noise: python -m tests.photographs FOLDER COUNT SIDE."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

CLASSES = ("círculo rojo", "square", "striped", "triangle", "ring")


def photographs(count: int, side: int, seed: int = 0) -> Iterator[tuple[str, Image.Image]]:
    """Class and picture, the classes in turn: a shape somewhere on a coloured, noisy ground."""
    random = np.random.default_rng(seed)
    for number in range(count):
        label = CLASSES[number % len(CLASSES)]
        ground = random.integers(0, 256, 3) * np.ones((side, side, 1)) + random.normal(0, 12, (side, side, 3))
        image = Image.fromarray(ground.clip(0, 255).astype(np.uint8))
        draw, ink = ImageDraw.Draw(image), tuple(random.integers(0, 256, 3).tolist())
        size = int(side * random.uniform(0.3, 0.6))
        x, y = random.integers(0, side - size, 2).tolist()
        box, width = (x, y, x + size, y + size), max(2, size // 6)
        match label:
            case "círculo rojo":
                draw.ellipse(box, (220, 20, 20))
            case "square":
                draw.rectangle(box, ink)
            case "striped":
                for line in range(y, y + size, 2 * width):
                    draw.rectangle((x, line, x + size, line + width), ink)
            case "triangle":
                draw.polygon([(x, y + size), (x + size // 2, y), (x + size, y + size)], ink)
            case "ring":
                draw.ellipse(box, outline=ink, width=width)
        yield label, image


def write(folder: Path, count: int, side: int = 40, ending: str = "jpg", seed: int = 0) -> None:
    for number, (label, image) in enumerate(photographs(count, side, seed)):
        (folder / label).mkdir(parents=True, exist_ok=True)
        image.save(folder / label / f"{number:05}.{ending}", quality=90)


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
