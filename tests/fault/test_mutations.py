"""Whatever a file holds, planning it prints a plan or says what is wrong and where: never a traceback.

2 000 mutated files: the real session files, prompt files and bodies where the development data is at hand (else the
repository's own examples), cut off, with flipped bits, and with values of the wrong type.
"""

import gzip
import json
import random
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from anchorline.cache.ledger import MemoryLedger
from anchorline.cli.reading import Unusable, prompt
from anchorline.config import Config
from anchorline.planner import Planner
from support.recorded import data_folder

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
LIMIT = 60_000
MUTATIONS = 2000
WRONG = [
    b"null",
    b"3",
    b"[]",
    b"{}",
    b'"x"',
    b"true",
    b"-1e999",
    b"[[[[",
    b'{"a":{"a":',
    b"\xff\xfe",
    b"\x00",
]


def sources() -> list[tuple[str, bytes]]:
    found = [
        (path.name, path.read_bytes()) for path in EXAMPLES.glob("*.*") if path.suffix in (".md", ".json")
    ]
    folder = data_folder()
    if folder is not None:
        for path in sorted((folder / "transcripts").rglob("*.jsonl.gz")):
            text = gzip.decompress(path.read_bytes())
            found.append(
                (path.name.removesuffix(".gz"), text[: text.rfind(b"\n", 0, LIMIT) + 1] or text[:LIMIT])
            )
        found += [(path.name, path.read_bytes()) for path in sorted((folder / "refine").rglob("*.md"))[:80]]
    return found


def mutated(data: bytes, generator: random.Random) -> bytes:
    changed = bytearray(data)
    kind = generator.randrange(3)
    if kind == 0:
        return data[: generator.randrange(len(data) + 1)]
    if kind == 1:
        for _ in range(generator.randrange(1, 12)):
            changed[generator.randrange(len(changed))] ^= 1 << generator.randrange(8)
        return bytes(changed)
    for _ in range(generator.randrange(1, 4)):
        start = changed.find(b":", generator.randrange(len(changed)))
        if start >= 0:
            end = min([i for i in (changed.find(mark, start) for mark in b",}") if i >= 0], default=start + 1)
            changed[start + 1 : end] = generator.choice(WRONG)
    return bytes(changed)


def mutations() -> Iterator[tuple[str, bytes]]:
    generator = random.Random(20261123)
    known = sources()
    for _ in range(MUTATIONS):
        name, data = generator.choice(known)
        yield name, mutated(data, generator)


def test_mutated_files_get_a_plan_or_a_clear_error(tmp_path: Path):
    planner = Planner(Config(), MemoryLedger())
    planned = 0
    said: list[tuple[str, str]] = []
    for number, (name, data) in enumerate(mutations()):
        path = tmp_path / name
        path.write_bytes(data)
        try:
            read = prompt(str(path), None)
        except Unusable as error:
            said.append((str(path), error.message))
        else:
            plan = planner.plan(read)
            assert plan.failure is None, (number, name, plan.failure)
            json.loads(msgspec.json.encode(plan))
            planned += 1
        path.unlink()
    assert all(message.startswith(f"{path}: ") and len(message) > len(path) + 5 for path, message in said)
    refused = len(said)
    assert planned + refused == MUTATIONS
    assert planned > 100
    assert refused > 100


@pytest.mark.parametrize("folder", ["transcripts", "refine/awesome_copilot"])
def test_every_real_file_gets_a_plan(data: Path, folder: str):
    planner = Planner(Config(), MemoryLedger())
    paths = [path for path in sorted((data / folder).rglob("*")) if path.is_file()]
    assert len(paths) >= 38
    for path in paths:
        plan = planner.plan(prompt(str(path), None))
        assert plan.failure is None, path.name
        assert plan.tokens.estimate > 0, path.name
