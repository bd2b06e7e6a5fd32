"""Ways in which a session file can be broken."""

import copy
import json
import random

VALUES = (None, True, 0, -1, 1.5e308, "", "\ud83d", [], {}, [[]], {"type": 1}, 10**30, "2026-01-01T00:00:00Z")


def mutate(data: bytes, generator: random.Random) -> bytes:
    """Return `data` truncated, with flipped bits, values of another type, lines lost, or nested deeply."""
    way = generator.randrange(5)
    if way == 0:
        return data[: generator.randrange(len(data))]
    if way == 1:
        broken = bytearray(data)
        for _ in range(generator.randrange(1, 9)):
            broken[generator.randrange(len(broken))] ^= 1 << generator.randrange(8)
        return bytes(broken)
    lines = data.splitlines(keepends=True)
    place = generator.randrange(len(lines))
    if way == 2:
        value = json.loads(lines[place])
        for _ in range(generator.randrange(1, 4)):
            _replace(value, generator)
        lines[place] = json.dumps(value).encode() + b"\n"
    elif way == 3:
        del lines[place : place + generator.randrange(1, 20)]
        generator.shuffle(lines[place : place + 5])
    else:
        deep = generator.choice((b"[", b'{"content":', b'{"payload":'))
        depth = 50_000
        lines[place] = deep * depth + b"0" + (b"]" if deep == b"[" else b"}") * depth + b"\n"
    return b"".join(lines)


def _replace(value: object, generator: random.Random) -> None:
    """Put something of another type in the place of some value deep inside `value`."""
    while isinstance(value, dict | list) and value:
        key = generator.choice(list(value)) if isinstance(value, dict) else generator.randrange(len(value))
        if not isinstance(value[key], dict | list) or not value[key] or generator.random() < 0.3:
            value[key] = copy.deepcopy(generator.choice(VALUES))
            return
        value = value[key]
