"""Files damaged at random, as a bad disk, a bad copy or a bad person might damage them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

SWAPPED = 0.05  # share of the inputs that are another file
ODD_BYTES = b'\x00\x01\x7f\x80\xff"{}[],:\\\n\r\t -.0e'
# Written as they stand: some of them no JSON writer would write.
ODD_VALUES = (
    *("null", "true", "-1", "0", "1", "2147483648", "-9223372036854775809", "18446744073709551616", "1e308", "NaN"),
    *("1.5", '""', '"\\u0000"', '"\\ud800"', '"\\u001b[2J\\u0007"', '"../../../etc/passwd"', "[]", "{}", "[[]]"),
    *("9" * 5000, '"' + "x" * 20_000 + '"', "[" * 2_000 + "]" * 2_000, '{"a":' * 2_000 + "1" + "}" * 2_000),
    *('"__proto__"', '"float16"', '"F64"', "[0, 1e30]", "[-1]", "4096", "100000000", "-0.0", '"NaN"', "[null]"),
)


def mutate(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    """The data with one to three things wrong, or one of these others in its place."""
    if rng.random() < SWAPPED:
        return rng.choice(others)
    for _ in range(rng.choice((1, 1, 2, 3))):
        data = rng.choice([*KINDS, odd_json, odd_json, odd_json])(data, rng)
    return data


def flipped(data: bytes, rng: random.Random) -> bytes:
    """Some bits the other way."""
    return _with_bytes(data, rng, lambda byte: byte ^ 1 << rng.randrange(8))


def odd_bytes(data: bytes, rng: random.Random) -> bytes:
    """Some bytes that often mean something."""
    return _with_bytes(data, rng, lambda _byte: rng.choice(ODD_BYTES))


def _with_bytes(data: bytes, rng: random.Random, change: Callable[[int], int]) -> bytes:
    changed = bytearray(data)
    # The beginnings of files hold what tells how to read the rest.
    end = len(data) if rng.random() < 0.5 else min(len(data), 256)
    for _ in range(rng.choice((1, 1, 4, 16)) if data else 0):
        place = rng.randrange(end)
        changed[place] = change(changed[place])
    return bytes(changed)


def cut(data: bytes, rng: random.Random) -> bytes:
    """The end missing."""
    return data[: rng.randrange(len(data) + 1)]


def _span(data: bytes, rng: random.Random) -> slice:
    start = rng.randrange(len(data) + 1)
    return slice(start, start + rng.choice((1, 4, 8, 64, 1024)))


def without(data: bytes, rng: random.Random) -> bytes:
    """A piece missing."""
    span = _span(data, rng)
    return data[: span.start] + data[span.stop :]


def repeated(data: bytes, rng: random.Random) -> bytes:
    """A piece there twice."""
    span = _span(data, rng)
    return data[: span.stop] + data[span] + data[span.stop :]


def zeroed(data: bytes, rng: random.Random) -> bytes:
    """A piece that was never written."""
    span = _span(data, rng)
    return data[: span.start] + bytes(len(data[span])) + data[span.stop :]


def inserted(data: bytes, rng: random.Random) -> bytes:
    """Something in between."""
    start = rng.randrange(len(data) + 1)
    return data[:start] + rng.randbytes(rng.choice((1, 8, 100))) + data[start:]


def odd_json(data: bytes, rng: random.Random) -> bytes:
    """Another value somewhere in the JSON: of the whole file, of one of its lines, or of a safetensors header."""
    size = int.from_bytes(data[:8], "little")
    if 8 + size <= len(data) and data[8:9] == b"{":
        header = _odd_value(data[8 : 8 + size], rng)
        return len(header).to_bytes(8, "little") + header + data[8 + size :]
    if data[:2] == b"{\n":
        return _odd_value(data, rng)
    lines = data.split(b"\n")
    number = rng.randrange(len(lines))
    lines[number] = _odd_value(lines[number], rng)
    return b"\n".join(lines)


def _odd_value(text: bytes, rng: random.Random) -> bytes:
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        return odd_bytes(text, rng)
    mark = "a value that stands nowhere else"
    places = list(_places(value))
    if not places or len(places) > 100_000:
        return rng.choice(ODD_VALUES).encode()
    holder, key = rng.choice(places)
    if isinstance(holder, dict) and rng.random() < 0.15:
        if rng.random() < 0.5:
            holder[f"{key}s"] = holder.pop(key)
        else:
            del holder[key]
        return json.dumps(value).encode()
    holder[key] = mark
    return json.dumps(value).replace(json.dumps(mark), rng.choice(ODD_VALUES), 1).encode()


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place inside a JSON value, as what holds it and the key."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(items):
        yield value, key
        yield from _places(inner)


KINDS = (flipped, odd_bytes, cut, without, repeated, zeroed, inserted)
