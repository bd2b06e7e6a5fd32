"""Fit what the route knows of drafts: the line of the length, and the tables of the words.

For every set, ridge regression on hashed words of what the length leaves of a small model's success, and of a strong one's
gain over it. Both are means over several models of their class where the set knows them, which is less noisy than
one pair.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix, vstack
from sklearn.linear_model import Ridge
from xxhash import xxh64_hexdigest

from anchorline.learn import features
from anchorline.learn.features import Decision
from anchorline.learn.network import Network
from anchorline.learn.training import Settings, train
from anchorline.route.quality import LengthFit
from anchorline.route.wording import BUCKETS, TaskKind, Wording, buckets
from bench.data.routing_sets import Prompts

WEAK = (
    "Claude-3-Haiku",
    "GPT-4O-mini-2024-07-18",
    "Gemini-Flash-1.5-002",
    "Codestral-Latest",
    "mistralai/Mixtral-8x7B-Instruct-v0.1",
    "WizardLM/WizardLM-13B-V1.2",
    "meta/code-llama-instruct-34b-chat",
    "meta/llama-2-70b-chat",
    "mistralai/mistral-7b-chat",
    "mistralai/mixtral-8x7b-chat",
    "gpt-3.5-turbo-1106",
    "GPT-5 nano (2025-08-07) (medium reasoning)",
    "gpt-oss-120b",
    "Kimi K2 Instruct",
    "o4-mini (2025-04-16)",
)
STRONG = (
    "O4-Mini (Medium)",
    "O3-Mini-2025-01-31 (Med)",
    "O1-2024-12-17 (N=1) (Med)",
    "Gemini-2.5-Pro",
    "Claude-3.7-Sonnet (Thinking)",
    "gpt-4-1106-preview",
    "Claude 4.5 Opus medium (20251101)",
    "Gemini 3 Pro Preview (2025-11-18)",
    "Claude 4.5 Sonnet (20250929)",
    "GPT-5.1-codex (medium reasoning)",
)
SKILLS = dict.fromkeys(WEAK, 0.0) | dict.fromkeys(STRONG, 1.0)
"""Where the models stand on the catalogue's scale; the others in between."""

Values = npt.NDArray[np.float64]

SCALE = 8.0
"""A mean of n words has a norm of 1/√n: so much makes it about 1."""
ALPHA = 2.0
"""The ridge of the words."""
LENGTH_ALPHA = 0.05
FEWEST = 200
"""Prompts that a kind must have."""
SURE = 2.0
"""Standard errors by which a kind's words must be right about prompts that they were not fitted on."""
TRUSTED = (5, 50)
"""Percentiles of the words seen, among a kind's own prompts, between which trust rises."""
COMMON = 0.01
"""The share of a kind's prompts that a word must be in to count as seen there."""


def fit(sets: Mapping[str, Prompts]) -> tuple[LengthFit, Wording]:
    """Return the line over all sets, each with the same weight, and the words of those that are large enough."""
    sets = {name: one for name, one in sets.items() if len(one)}
    known = {}
    for name, one in sets.items():
        if len(one) >= FEWEST:
            words = bags(one.prompts)
            tables = [_words(words, rest, one.folds) for rest in _rest(one)]
            if tables[1].skill > SURE / len(one) ** 0.5:
                known[name] = (words, tables)
    typical = _typical({name: words for name, (words, _) in known.items()})
    return _line(sets), Wording(tuple(_kind(name, *found, typical[name]) for name, found in known.items()))


class Words(NamedTuple):
    """A table by bucket, and its correlation with what it had not seen."""

    table: Values
    skill: float


def _kind(name: str, words: csr_matrix, tables: list[Words], typical: Values) -> TaskKind:
    present = (words > 0).astype(float)
    common = np.asarray(present.mean(0)).ravel() >= COMMON
    seen = (present @ common) / np.maximum(np.asarray(present.sum(1)).ravel(), 1)
    floor, middle = np.percentile(seen, TRUSTED)
    return TaskKind(
        name=name,
        floor=round(float(floor), 4),
        middle=round(float(middle), 4),
        seen=common.astype(np.int8).tobytes(),
        **_table("typical", typical),
        **_table("weak", tables[0].table),
        **_table("gain", tables[1].table),
    )


def network(sets: Mapping[str, Prompts]) -> Network:
    """Return a network whose solve head is trained on the sets; a sixth of the groups says when to stop."""
    given = decisions(sets)
    groups = sorted({one.session for one in given})
    late = set(np.random.default_rng(0).permutation(groups)[: len(groups) // 6].tolist())
    return train(
        [one for one in given if one.session not in late],
        [one for one in given if one.session in late],
        heads=["solve"],
        skills=SKILLS,
        settings=Settings(epochs=12),
    )


def decisions(sets: Mapping[str, Prompts]) -> list[Decision]:
    """Return the sets as the network learns from them; each set counts by the root of its size, and models share a prompt."""
    found = []
    for name, one in sets.items():
        weight = (1000 / len(one)) ** 0.5 / len(one.scores)
        for number, prompt in enumerate(one.prompts):
            group = xxh64_hexdigest(one.groups[number].encode())
            solved = {model: float(values[number]) for model, values in one.scores.items()}
            found.append(
                Decision(
                    f"{name}-{number}",
                    f"{name}-{group}",
                    features.of(prompt),
                    source=name,
                    solve=solved,
                    weights={"solve": weight},
                )
            )
    return found


def levels(one: Prompts) -> tuple[Values, Values]:
    """Return the mean success of the small models of a set, and how much more its strong ones solve."""
    weak, strong = ([one.scores[name] for name in names if name in one.scores] for names in (WEAK, STRONG))
    if not weak or not strong:
        first, second, _ = one.pair
        weak, strong = [one.scores[first]], [one.scores[second]]
    small = np.mean(weak, 0)
    return small, np.mean(strong, 0) - small


def bags(prompts: list[str]) -> csr_matrix:
    """Return the share of each bucket among a prompt's distinct ones, times `SCALE`."""
    found = [sorted(buckets(prompt)) for prompt in prompts]
    ends = np.cumsum([0, *map(len, found)])
    values = np.concatenate([np.full(len(one), SCALE / max(len(one), 1)) for one in found])
    return csr_matrix((values, np.concatenate(found), ends), (len(prompts), BUCKETS))


def _line(sets: Mapping[str, Prompts]) -> LengthFit:
    lengths = {name: np.log1p([len(prompt) for prompt in one.prompts]) for name, one in sets.items()}
    mean = np.mean([values.mean() for values in lengths.values()])
    deviation = np.mean([((values - mean) ** 2).mean() for values in lengths.values()]) ** 0.5
    square, right, base = LENGTH_ALPHA, np.zeros(2), np.zeros(2)
    for name, one in sets.items():
        x = np.clip((lengths[name] - mean) / deviation, -3, 3)
        x -= x.mean()
        targets = np.stack(levels(one))
        square += (x @ x) / len(x) / len(sets)
        right += targets @ x / len(x) / len(sets)
        base += targets.mean(1) / len(sets)
    slope = right / square
    return LengthFit(
        float(mean), float(deviation), (float(base[0]), float(base[1])), (float(slope[0]), float(slope[1]))
    )


def _rest(one: Prompts) -> list[Values]:
    """Return what the length leaves of small models' success and of the gain, inside a set."""
    x = np.log1p([len(prompt) for prompt in one.prompts])
    x -= x.mean()
    rests = [target - target.mean() for target in levels(one)]
    return [rest - x * (x @ rest) / max(x @ x, 1e-9) for rest in rests]


def _words(words: csr_matrix, rest: Values, folds: Values) -> Words:
    """Return a table that is shrunk by what it was worth on folds that it had not seen.

    By the root of that: the line of the length, fitted over all sets, is as much too steep inside most of them.
    """
    apart = np.zeros(len(rest))
    for fold in np.unique(folds):
        inside = folds == fold
        ridge = _ridge(words[~inside], rest[~inside])
        apart[inside] = ridge.predict(words[inside])
    spread = float(np.std(apart) * np.std(rest))
    skill = float(np.mean((apart - apart.mean()) * rest)) / spread if spread else 0.0
    worth = min(max(skill * float(np.std(rest) / max(np.std(apart), 1e-9)), 0.0), 1.0)
    ridge = _ridge(words, rest)
    return Words(worth**0.5 * (ridge.coef_ * SCALE + ridge.intercept_), skill)


def _ridge(words: csr_matrix, target: Values) -> Ridge:
    return Ridge(ALPHA, solver="sparse_cg", tol=1e-3).fit(words, target)


def _typical(words: dict[str, csr_matrix]) -> dict[str, Values]:
    """Return by kind how far each bucket tells it from the others, all kinds counting the same."""
    if not words:
        return {}
    names = list(words)
    kind = np.concatenate([np.full(words[name].shape[0], place) for place, name in enumerate(names)])
    weights = np.concatenate([np.full(one.shape[0], 1000 / one.shape[0]) for one in words.values()])
    wanted = (kind[:, None] == np.arange(len(names))).astype(float)
    ridge = Ridge(1.0, solver="sparse_cg", tol=1e-3)
    ridge.fit(vstack(list(words.values())), wanted, weights)
    coefficients = np.atleast_2d(ridge.coef_) * SCALE + np.reshape(ridge.intercept_, (-1, 1))
    return dict(zip(names, coefficients, strict=True))


def _table(name: str, values: Values) -> dict[str, bytes | float]:
    """Return a table of signed bytes with its step. Means of bytes are finer than one byte is."""
    step = max(float(np.abs(values).max()) / 127, 1e-9)
    return {name: np.round(values / step).astype(np.int8).tobytes(), f"{name}_step": step}
