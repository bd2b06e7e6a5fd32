"""How much shorter do tool results get, is anything lost, and does it ever cost more?

    python tests/bench trimming --data DIR [--json]

Every request of the sessions in DIR (`transcripts` in it, or DIR itself) is trimmed as the gateway would, in order and at
its time, for a provider that keeps what was sent for five minutes. Rows, all as shares, intervals by session:

restored  tool results that `restored_texts` gives back, byte for byte, from the request as it is sent; `rendered` is the
          share that was shown as a terminal shows it, which can't be undone and is not among them
T1        tool-output tokens saved (counted with OpenAI's cl100k), each tool result counted once
T2        identifiers, paths and lines of `old_string`s of later turns that stood in the context and still stand (lines
          without the numbers that `cat -n` puts before them)
T2_in_one_piece  `old_string`s whose lines still follow each other; of the others a part stands where a pointer leads
T4_worst  billed input cost of a session trimmed over as it is, by the simulator: the worst session
T4_median the median session
T5        requests that come out the same, byte for byte, in a new process that knows what was sent, and when the newest
          message differs up to that message
"""

import argparse
import importlib.util
import json
import os
import random
import re
import statistics
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import tiktoken

from anchorline.cache import markers
from anchorline.cache.ledger import MemoryLedger, entry
from anchorline.cache.predict import assess, cumulative
from anchorline.cache.rules import load
from anchorline.gateway.splice import shortened
from anchorline.prompt import formats
from anchorline.prompt.fingerprint import Chain
from anchorline.prompt.model import Prompt
from anchorline.prompt.tokens import estimator
from anchorline.replay.provider_cache import ProviderCache
from anchorline.replay.request import Breakpoint, SimulatedBlock, SimulatedRequest
from anchorline.trim.results import Shortened, Trimmed, decoded, literals, restored_texts
from bench.data.bodies import bodies
from bench.reporting import environment, show

MODEL = "claude-sonnet-4-5"
PROVIDER = load().for_model(MODEL)
ESTIMATE = estimator("anthropic")
EVERY = 10
"""Every so many requests it is looked whether they come out the same again."""
WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]{3,}|[\w.~-]*/[\w./~-]+")
NUMBER = re.compile(r"^\s*\d+(?:→|\t)", re.MULTILINE)
POINTER = re.compile(r"^\[= [^\n]*\]$", re.MULTILINE)
DRAWS = 500


def _encoding() -> tiktoken.Encoding:
    """Return the tokenizer whose table LiteLLM brings along: Claude's own are not public."""
    found = importlib.util.find_spec("litellm")
    assert found is not None
    assert found.submodule_search_locations
    os.environ["TIKTOKEN_CACHE_DIR"] = f"{found.submodule_search_locations[0]}/litellm_core_utils/tokenizers"
    return tiktoken.get_encoding("cl100k_base")


ENCODING = _encoding()


@lru_cache(maxsize=20_000)
def count(content: bytes, kind: str) -> int:
    """Return the tokens of a segment: of a tool result's texts, or of anything else as it stands."""
    if kind == "image":
        return ESTIMATE(content, "image")
    if kind != "tool_result":
        return len(ENCODING.encode_ordinary(content.decode()))
    texts = [json.loads(content[start:end]) for start, end in literals(content)]
    return sum(len(ENCODING.encode_ordinary(text)) for text in texts) + 20


class Arm:
    """One way to send a session, with the cache that it meets."""

    def __init__(self) -> None:
        self.cache = ProviderCache(PROVIDER, MODEL)
        self.cost = 0.0

    def send(self, at: float, contents: list[bytes], prompt: Prompt) -> None:
        blocks = []
        for segment, content in zip(prompt.segments, contents, strict=True):
            person = segment.role == "user" and segment.kind == "text"
            kind = "thinking" if segment.kind == "thinking" else "user" if person else "content"
            kind = "assistant" if segment.role == "assistant" and kind == "content" else kind
            tokens = count(content, segment.kind)
            blocks.append(SimulatedBlock(Chain().add(content)[0], tokens, segment.section, kind))
        last = next((i for i in range(len(blocks) - 1, -1, -1) if blocks[i].kind != "thinking"), None)
        marks = [Breakpoint(last, "5m")] if last is not None else []
        billed, _ = self.cache.send(SimulatedRequest(at, blocks, marks))
        self.cost += self.cache.charge(billed)


class Session:
    """What was measured of a session."""

    def __init__(self, path: Path) -> None:
        self.all = self.saved = 0
        self.used = self.found = self.whole = self.in_one_piece = 0
        self.same = self.requests = self.number = 0
        self.results = self.restored = self.restorable = self.rendered = 0
        self.lost: list[str] = []
        plain, trimmed = Arm(), Arm()
        shortened, ledger = Shortened(), MemoryLedger()
        known: dict[bytes, bytes] = {}
        counted: set[bytes] = set()
        previous: tuple[Prompt, str, str] | None = None
        for at, body in bodies(path):
            prompt = formats.read(body)
            if not prompt.segments:
                continue
            totals = cumulative(prompt)
            warm = assess(prompt, ledger.held("anthropic", ""), MODEL, PROVIDER, at, totals).last
            trims = shortened.shorten(prompt, warm)
            self._stable(prompt, warm, trims, known)
            known |= shortened.keep(prompt, trims)
            contents = [prompt.load(one.start, one.end) for one in prompt.segments]
            shorter = made(contents, trims)
            self._restore(prompt, trims, body, counted)
            for segment, old, new in zip(prompt.segments, contents, shorter, strict=True):
                if segment.kind == "tool_result" and segment.prefix not in counted:
                    counted.add(segment.prefix)
                    self.all += (tokens := count(old, segment.kind))
                    self.saved += tokens - count(new, segment.kind)
            plain.send(at, contents, prompt)
            trimmed.send(at, shorter, prompt)
            if previous is not None:
                self._recall(previous, prompt)
            previous = prompt, *(as_read(prompt, which) for which in (contents, shorter))
            held = entry(
                PROVIDER,
                account="",
                model=MODEL,
                prefix=prompt.segments[-1].prefix,
                tokens=totals[-1],
                ttl="5m",
                started=at,
            )
            if held is not None:
                ledger.put(held)
        self.ratio = trimmed.cost / plain.cost if plain.cost else 1.0

    def _restore(self, prompt: Prompt, trims: list[Trimmed], body: bytes, counted: set[bytes]) -> None:
        """Restore each tool result that is new from the request as it is sent."""
        results = [n for n, one in enumerate(prompt.segments) if one.kind == "tool_result"]
        if all(prompt.segments[n].prefix in counted for n in results):
            return
        sent = formats.read(markers.apply(body, shortened(prompt, trims)), format=prompt.format)
        back = restored_texts(sent)
        rendered = {one.segment for one in trims if "terminal_rendering" in one.kinds}
        for number in results:
            segment = prompt.segments[number]
            if segment.prefix in counted:
                continue
            content = prompt.load(segment.start, segment.end)
            self.results += 1
            self.rendered += number in rendered
            self.restorable += number not in rendered
            given = [decoded(content[start:end]) for start, end in literals(content)]
            self.restored += number not in rendered and back[number] == given

    def _stable(self, prompt: Prompt, warm: int, trims: list[Trimmed], known: dict[bytes, bytes]) -> None:
        self.number += 1
        if self.number % EVERY:
            return
        self.requests += 1
        again = Shortened(known).shorten(prompt, warm)
        other = [one for one in again if one.segment <= warm]
        self.same += again == trims or [one.pieces for one in other] == [
            one.pieces for one in trims if one.segment <= warm
        ]

    def _recall(self, before: tuple[Prompt, str, str], prompt: Prompt) -> None:
        """Look what the model wrote after a request up in what that request held."""
        old, context, shorter = before
        start = len(old.segments)
        if len(prompt.segments) <= start or prompt.segments[start - 1].prefix != old.segments[-1].prefix:
            return
        names: set[str] = set()
        whole: set[str] = set()
        for segment in prompt.segments[start:]:
            if segment.role == "assistant" and segment.kind != "thinking":
                text = prompt.load(segment.start, segment.end).decode()
                names.update(WORD.findall(text))
                whole.update(_old_strings(json.loads(text)))
        words, left = set(WORD.findall(context)), set(WORD.findall(shorter))
        names.update(line for text in whole if text in context for line in text.split("\n"))
        for name in names:
            if name in words or (" " in name and name in context):
                self.used += 1
                if name in left or name in shorter:
                    self.found += 1
                else:
                    self.lost.append(name)
        for text in whole:
            if text in context:
                self.whole += 1
                self.in_one_piece += text in shorter


def _old_strings(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, one in value.items():
            if key == "old_string" and isinstance(one, str) and one.strip():
                yield one
            yield from _old_strings(one)
    elif isinstance(value, list):
        for one in value:
            yield from _old_strings(one)


def made(contents: list[bytes], trims: list[Trimmed]) -> list[bytes]:
    """Return the segments as they are sent."""
    sent = list(contents)
    for trim in trims:
        content = contents[trim.segment]
        for piece in reversed(trim.pieces):
            content = content[: piece.start] + piece.text + content[piece.end :]
        sent[trim.segment] = content
    return sent


def as_read(prompt: Prompt, contents: list[bytes]) -> str:
    """Return the context's text: tool results decoded and without line numbers, everything else as it stands."""
    texts = []
    for segment, content in zip(prompt.segments, contents, strict=True):
        if segment.kind == "tool_result":
            decoded = [json.loads(content[start:end]) for start, end in literals(content)]
            texts += [NUMBER.sub("", text) for text in decoded]
        else:
            texts.append(content.decode())
            texts.append(str(json.loads(content)) if content[:1] == b'"' else "")
    return "\n".join(texts)


def ratio(sessions: list[Session], part: str, whole: str) -> dict:
    """Return a row's value and interval: the ratio of two sums, bootstrap by session."""
    draw = random.Random(7)

    def of(drawn: list[Session]) -> float:
        total = sum(getattr(one, whole) for one in drawn)
        return sum(getattr(one, part) for one in drawn) / total if total else 1.0

    values = sorted(of(draw.choices(sessions, k=len(sessions))) for _ in range(DRAWS))
    return {
        "value": round(of(sessions), 4),
        "low": round(values[12], 4),
        "high": round(values[-13], 4),
        "n": len(sessions),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--lost", action="store_true", help="list what does not stand any more")
    given = parser.parse_args()
    folder = given.data / "transcripts" if (given.data / "transcripts").is_dir() else given.data
    files = sorted(path for path in folder.rglob("*") if path.name.endswith((".jsonl", ".jsonl.gz")))
    if not files:
        parser.error(f"no session files below {folder}")
    rows = []
    groups: dict[str, list[Session]] = {}
    for path in files:
        groups.setdefault(path.parent.name, []).append(Session(path))
    everything = [one for group in groups.values() for one in group]
    for subset, sessions in {"all": everything, **groups}.items():
        costs = sorted(one.ratio for one in sessions)
        spread = {"low": round(costs[0], 4), "high": round(costs[-1], 4), "n": len(costs)}
        metrics = {
            "restored": ratio(sessions, "restored", "restorable"),
            "rendered": ratio(sessions, "rendered", "results"),
            "T1": ratio(sessions, "saved", "all"),
            "T2": ratio(sessions, "found", "used"),
            "T2_in_one_piece": ratio(sessions, "in_one_piece", "whole"),
            "T4_worst": {"value": round(costs[-1], 4), **spread},
            "T4_median": {"value": round(statistics.median(costs), 4), **spread},
            "T5": ratio(sessions, "same", "requests"),
        }
        rows += [{"case": "ours", "subset": subset, "metric": name, **row} for name, row in metrics.items()]
    show("trimming", rows, environment(), as_json=given.json)
    if given.lost:
        for one in everything:
            for name in one.lost:
                print(repr(name)[:100])
        for path, one in zip(files, everything, strict=True):
            print(path.name, round(one.ratio, 4))


if __name__ == "__main__":
    main()
