"""Bytes spoiled at random: anywhere, or below the checksums and brackets that would give the change away."""

import gzip
import random
import zlib
from typing import Any

import orjson

from serve.inference.check import IMAGE

PNG = b"\x89PNG\r\n\x1a\n"
JUNK: list[Any] = [
    None, True, -1, 0, 255, 256, 2**31, 2**63, -(2**63), 1.5, 1e308, "", "x", IMAGE, "é" * 50, [], [[]], {}, [1],
    {"a": 1}, [None] * 784, [[0] * 28] * 28, "FP32", "logits",
]  # fmt: skip
NUMBERS = [bytes([value]) * count for value in (0, 1, 0x7F, 0x80, 0xFF) for count in (1, 2, 4)]


def flipped(data: bytes, dice: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(dice.choice((1, 1, 3, 20)) if changed else 0):
        changed[dice.randrange(len(changed))] = dice.randrange(256)
    return bytes(changed)


def cut(data: bytes, dice: random.Random) -> bytes:
    start, end = sorted(dice.randrange(len(data) + 1) for _ in range(2))
    return dice.choice((data[:end], data[start:], data[:start] + data[end:], data + data[start:end]))


def numbered(data: bytes, dice: random.Random) -> bytes:
    """With the largest, smallest or sign-changing number somewhere, more often near the beginning."""
    at, number = int(len(data) * dice.random() ** 3), dice.choice(NUMBERS)
    return data[:at] + number + data[at + len(number) :]


def spoiled(data: bytes, dice: random.Random) -> bytes:
    for _ in range(dice.choice((1, 1, 2, 4))):
        data = dice.choice((flipped, cut, numbered))(data, dice)
    return data


def spoiled_gzip(data: bytes, dice: random.Random) -> bytes:
    """Mostly what is inside, so that it is looked at."""
    return spoiled(data, dice) if dice.random() < 0.3 else gzip.compress(spoiled(gzip.decompress(data), dice), 1)


def spoiled_picture(data: bytes, dice: random.Random) -> bytes:
    """A PNG's checksums are made to fit again, so that its chunks are looked at."""
    if not data.startswith(PNG) or dice.random() < 0.3:
        return spoiled(data, dice)
    chunks, at = [], len(PNG)
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        chunks.append(data[at + 4 : at + 8 + size])  # its kind and contents
        at += size + 12
    chosen = dice.randrange(len(chunks))
    kind, contents = chunks[chosen][:4], chunks[chosen][4:]
    if kind == b"IDAT" and dice.random() < 0.7:
        contents = zlib.compress(spoiled(zlib.decompress(contents), dice), 1)
    else:
        contents = spoiled(contents, dice)
    chunks[chosen] = kind + contents
    return PNG + b"".join(
        (len(chunk) - 4).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big") for chunk in chunks
    )


def spoiled_json(data: bytes, dice: random.Random) -> bytes:
    """Another value somewhere, where it is JSON."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        return spoiled(data, dice)
    if dice.random() < 0.3:
        return spoiled(data, dice)
    at: Any = {"": value}
    key: Any = ""
    while isinstance(at[key], dict | list) and at[key] and dice.random() < 0.85:
        at = at[key]
        key = dice.choice(list(at)) if isinstance(at, dict) else dice.randrange(len(at))
    at[key] = dice.choice(JUNK)
    return orjson.dumps(value)
