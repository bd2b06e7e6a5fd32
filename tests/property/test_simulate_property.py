"""The simulated cache against a brute-force reference and against bounds that no cache can break."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorline.cache import rules
from anchorline.replay.provider_cache import Simulator
from anchorline.replay.request import Breakpoint, RejectedError, SimulatedBlock, SimulatedRequest
from support.examples import examples

RULES = rules.load()
MODELS = ("claude-opus-4-8", "claude-sonnet-4-5", "gpt-5.6-sol", "gpt-5.5", "vllm/qwen", "nobody-1")
SIZES = (1500, 600, 300, 100, 3)


KINDS = ("content", "user", "assistant", "thinking", "content")


@st.composite
def requests(draw: Any) -> list[SimulatedRequest]:
    """A short history: most prompts begin as an earlier one did; starts in order, gaps at the edges of lifetimes."""
    found: list[SimulatedRequest] = []
    at = 0.0
    for _ in range(draw(st.integers(2, 9))):
        at += draw(st.sampled_from((1.0, 1.0, 4.0, 100.0, 299.0, 300.0, 301.0, 3600.0)))
        names = draw(st.lists(st.sampled_from((0, 0, 1, 2, 3)), min_size=1, max_size=3))
        if found and draw(st.integers(0, 5)):
            earlier = [int(block.digest) for block in draw(st.sampled_from(found)).blocks]
            names = earlier[: draw(st.sampled_from((len(earlier), len(earlier), 1, 2)))] + names
        names += [4] * draw(st.sampled_from((0, 0, 0, 0, 19, 20, 21)))
        blocks = [SimulatedBlock(b"%d" % name, SIZES[name], kind=KINDS[name]) for name in names]
        last = len(blocks) - 1
        marks = {last: draw(st.booleans())} if draw(st.integers(0, 4)) else {}
        marks |= dict(draw(st.lists(st.tuples(st.integers(0, last), st.booleans()), max_size=3)))
        answer = draw(st.sampled_from((None, None, 0.5, 3.0)))
        found.append(
            SimulatedRequest(
                at,
                blocks,
                tuple(Breakpoint(block, "1h" if long else "5m") for block, long in marks.items()),
                first_at=None if answer is None else at + answer,
                last_at=None if answer is None else at + 2 * answer,
                session=draw(st.sampled_from(("", "one", "two"))),
            )
        )
    return found


def default_lifetimes(request: SimulatedRequest, model: str) -> SimulatedRequest:
    """The same request, with a lifetime that the model's provider knows."""
    if RULES.for_model(model).lifetime("5m") is not None:
        return request
    marks = [Breakpoint(mark.block) for mark in request.breakpoints]
    return SimulatedRequest(
        request.at, request.blocks, marks, request.first_at, request.last_at, session=request.session
    )


def kept(request: SimulatedRequest, model: str) -> list[SimulatedBlock]:
    """The blocks that the provider caches, written as plainly as can be."""
    blocks = list(request.blocks)
    if not RULES.for_model(model).drops_thinking(model):
        return blocks
    users = [i for i, block in enumerate(blocks) if block.kind == "user"]
    return [b for i, b in enumerate(blocks) if b.kind != "thinking" or not users or i > users[-1]]


@examples(300)
@given(history=requests(), model=st.sampled_from(MODELS))
def test_never_reads_more_than_was_sent_and_never_pays_less_than_clairvoyance(
    history: list[SimulatedRequest], model: str
) -> None:
    simulator = Simulator(RULES)
    cache = simulator.cache(model)
    sent: list[list[bytes]] = []
    for given_request in history:
        request = default_lifetimes(given_request, model)
        blocks = kept(request, model)
        names = [block.digest for block in blocks]
        total = sum(block.tokens for block in blocks)
        try:
            billed = simulator.send(request, model)
        except RejectedError:
            continue
        shared = 0
        for earlier in sent:
            length = 0
            while length < min(len(earlier), len(names)) and earlier[length] == names[length]:
                length += 1
            shared = max(shared, sum(block.tokens for block in blocks[:length]))
        assert billed.total == total
        assert billed.uncached >= 0
        assert all(tokens > 0 for tokens in billed.written.values())
        assert 0 <= billed.read <= shared
        read = cache.provider.read_price(model)
        assert cache.charge(billed) >= read * shared + (total - shared) - 1e-6
        sent.append(names)


class Reference:
    """Anthropic's rules once more, without hashes and without care for time: a list of everything ever held."""

    def __init__(self, minimum: int) -> None:
        self.minimum = minimum
        self.held: list[dict[str, Any]] = []

    def send(
        self, request: SimulatedRequest, blocks: list[SimulatedBlock]
    ) -> tuple[int, dict[str, int]] | None:
        """Return (read, written), None where it is refused."""
        names = tuple(block.digest for block in blocks)
        sizes = [sum(block.tokens for block in blocks[: i + 1]) for i in range(len(blocks))]
        if any(request.blocks[mark.block].kind == "thinking" for mark in request.breakpoints):
            return None
        last_of: dict[int, str] = {}
        for mark in request.breakpoints:
            # On which kept block a mark falls: as many blocks are kept up to it.
            before = SimulatedRequest(0, request.blocks[: mark.block + 1])
            users = [i for i, block in enumerate(request.blocks) if block.kind == "user"]
            dropped = sum(
                block.kind == "thinking" and bool(users) and i < users[-1]
                for i, block in enumerate(before.blocks)
            ) * (len(blocks) != len(request.blocks))
            last_of[mark.block - dropped] = mark.ttl
        marks = sorted(last_of.items())
        seconds = {"5m": 300, "1h": 3600}
        if len(marks) > 4 or any(seconds[b[1]] > seconds[a[1]] for a, b in pairwise(marks)):
            return None
        marks = [(block, ttl) for block, ttl in marks if sizes[block] >= self.minimum]
        found = -1
        for block, _ in marks:
            for entry in self.held:
                at = len(entry["names"]) - 1
                if (
                    block - 20 <= at <= block
                    and names[: at + 1] == entry["names"]
                    and entry["ready"] <= request.at <= entry["expires"]
                ):
                    found = max(found, at)
        for entry in self.held:
            if (
                len(entry["names"]) <= found + 1
                and names[: len(entry["names"])] == entry["names"]
                and entry["ready"] <= request.at <= entry["expires"]
            ):
                entry["expires"] = max(entry["expires"], request.at + seconds[entry["ttl"]])
        begun = request.at if request.first_at is None else request.first_at
        written: dict[str, int] = {}
        start = read = sizes[found] if found >= 0 else 0
        source = next((e for e in self.held if found >= 0 and e["names"] == names[: found + 1]), None)
        for block, ttl in marks:
            alive = [e for e in self.held if e["names"] == names[: block + 1] and request.at <= e["expires"]]
            entry = {"names": names[: block + 1], "ttl": ttl, "ready": begun}
            if block <= found:
                if not alive and source is not None:
                    self.forget(names[: block + 1])
                    self.held.append(
                        {**entry, "ttl": source["ttl"], "ready": request.at, "expires": source["expires"]}
                    )
                continue
            written[ttl] = written.get(ttl, 0) + sizes[block] - start
            start = sizes[block]
            expires = request.at + seconds[ttl]
            if alive:
                alive[0]["ready"] = min(alive[0]["ready"], begun)
                if expires > alive[0]["expires"]:
                    alive[0].update(expires=expires, ttl=ttl)
            else:
                self.forget(names[: block + 1])
                self.held.append({**entry, "expires": expires})
        return read, written

    def forget(self, names: tuple[bytes, ...]) -> None:
        """Drop what expired, so that one entry a prefix is held."""
        self.held = [entry for entry in self.held if entry["names"] != names]


@pytest.mark.parametrize("model", ["claude-opus-4-8", "claude-sonnet-4-5"])
@examples(400)
@given(history=requests())
def test_agrees_with_the_brute_force_reference(model: str, history: list[SimulatedRequest]) -> None:
    simulator = Simulator(RULES)
    reference = Reference(RULES.for_model(model).minimum(model))
    for request in history:
        expected = reference.send(request, kept(request, model))
        try:
            billed = simulator.send(request, model)
        except RejectedError:
            assert expected is None
            continue
        assert expected is not None
        assert (billed.read, billed.written) == expected
        assert (billed.read == 0 and billed.cause is None) is False
