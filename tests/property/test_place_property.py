"""The placement's dynamic programme against every choice there is."""

import json
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorline.cache.boundary_reuse import Boundary, boundaries
from anchorline.cache.breakpoints import CachePrices, WarmPrefix, best_of
from anchorline.cache.predict import Warmth, cumulative
from anchorline.prompt import formats
from support.examples import examples

PRICES = [
    CachePrices(0.1, 1.25, 1.25),
    CachePrices(0.1, 2.0, 1.25),
    CachePrices(0.05, 1.25, 1.25),
    CachePrices(0.1, 1.0, 1.0),
]


@st.composite
def cases(draw: st.DrawFn):
    """Nodes in order with probabilities of any kind, some anchored anyway, and a warm prefix."""
    count = draw(st.integers(0, 7))
    segments = sorted(draw(st.sets(st.integers(0, 60), min_size=count, max_size=count)))
    tokens = 0
    nodes = []
    for segment in segments:
        tokens += draw(st.integers(1, 9000))
        p = draw(st.floats(0, 1))
        nodes.append(Boundary(segment, tokens, p, "free", draw(st.integers(0, 5)) == 0))
    end = draw(st.integers(-1, max(segments, default=-1)))
    warm = WarmPrefix(
        end,
        draw(st.integers(0, tokens)) if end >= 0 else 0,
        draw(st.floats(0, 1)) if end >= 0 else 0.0,
        draw(st.sampled_from([None, 1, 20])),
    )
    return nodes, draw(st.sampled_from(PRICES)), warm


def worth(chosen: list[Boundary], prices: CachePrices, warm: WarmPrefix) -> float:
    """What anchors save in expectation, token by token of the definition rather than by intervals."""
    total, before = 0.0, 0
    for node in chosen:
        total += node.p * (prices.rewrite - prices.read) * (node.tokens - before)
        before = node.tokens
    total -= (prices.write - 1) * max(before - warm.tokens, 0)
    first = next((node for node in chosen if node.segment >= warm.segment), None)
    near = first is not None and (warm.lookback is None or first.segment - warm.segment <= warm.lookback)
    if warm.segment >= 0 and near:
        total += warm.p * (prices.rewrite - prices.read) * warm.tokens
    return total


@examples(400)
@given(case=cases(), free=st.integers(0, 4))
def test_it_finds_what_trying_every_choice_finds(case, free):
    nodes, prices, warm = case
    added = [node for node in nodes if not node.anchored]
    there = [node for node in nodes if node.anchored]
    every = (
        sorted((*there, *some), key=lambda node: node.segment)
        for count in range(min(free, len(added)) + 1)
        for some in combinations(added, count)
    )
    saving, chosen = best_of(nodes, free, prices, warm)
    assert saving == pytest.approx(max(worth(one, prices, warm) for one in every), abs=1e-6)
    assert saving == pytest.approx(worth(list(chosen), prices, warm), abs=1e-6)
    assert sum(not node.anchored for node in chosen) <= free
    assert [node for node in chosen if node.anchored] == there


@examples(200)
@given(case=cases())
def test_a_further_anchor_never_lowers_the_expected_saving(case):
    nodes, prices, warm = case
    savings = [best_of(nodes, free, prices, warm)[0] for free in range(5)]
    assert all(more >= fewer - 1e-6 for fewer, more in pairwise(savings))


@examples(60)
@given(
    turns=st.integers(1, 40),
    marks=st.lists(st.integers(0, 40), max_size=4),
    warm=st.integers(-1, 39),
    moment=st.booleans(),
)
def test_no_fixed_rule_expects_to_save_more_of_a_conversation(turns, marks, warm, moment):
    body = {
        "model": "claude-sonnet-4-5",
        "system": [{"type": "text", "text": "2026-11-23 10:15 " * moment + "Rules. " * 2000}],
        "messages": [
            {"role": ("user", "assistant")[n % 2], "content": [{"type": "text", "text": f"{n} text " * 300}]}
            for n in range(turns)
        ],
    }
    prompt = formats.read(json.dumps(body).encode())
    totals = cumulative(prompt)
    warm = min(warm, len(totals) - 1)
    warmth = Warmth(warm, totals[warm] if warm >= 0 else 0, 0.9 if warm >= 0 else 0.0, None, ())
    found = boundaries(prompt, warmth, totals, 0.95, 300, 20)
    prefix = WarmPrefix(warm, warmth.tokens, warmth.p_hit, 20)
    rule = [
        Boundary(mark, totals[mark], next(one.p for one in found if one.segment >= mark))
        for mark in sorted({min(mark, turns) for mark in marks})
    ]
    assert best_of(found, 4, PRICES[0], prefix)[0] >= worth(rule, PRICES[0], prefix) - 1e-6
