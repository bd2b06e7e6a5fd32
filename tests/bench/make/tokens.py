"""Makes the coefficients of `server/anchorline/prompt/tokens.py` from the usage of providers, and says how far off they are.

    python tests/bench tokens --transcripts DIR --requests FILE [--requests FILE …] [--json]

DIR holds `claude-code/` and `codex/` with session files. Two successive requests of a session differ by the
blocks appended between them, so that the difference of their input tokens is what those blocks cost. Sessions
are left out by quarters: the errors are of sessions that the coefficients have not seen.
"""

import argparse
import gzip
import json
import platform
import timeit
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from anchorline.prompt import tokens
from anchorline.prompt.formats import claude_code, codex
from anchorline.prompt.formats.history import Part
from anchorline.prompt.source import Line, each, read_bytes

FOLDS = 4
Z90 = 1.645
PRIOR = 20.0
COLUMNS = tokens.Coefficients._fields
WIDE = {"anthropic-4.6": 0.2, "openai": 0.0}  # assumed: the sessions hold too little that is not ASCII


class Step(NamedTuple):
    """Two requests of a session: `cost` is the difference of their input tokens, `parts` what was appended.

    `prompt` is all of the second, of `total` input tokens; both are empty for an answer. `altered`: the total
    has once fallen though nothing was taken away in the file, so that more was cleared than the file shows.
    """

    session: str
    family: str
    cost: int
    parts: tuple[Part, ...]
    total: int = 0
    prompt: tuple[Part, ...] = ()
    altered: bool = False


class Asked(NamedTuple):
    """A request: all its parts and its input tokens; `altered` as in `Step`."""

    parts: tuple[Part, ...]
    total: int
    model: str
    altered: bool

    @staticmethod
    def after(before: "Asked | None", parts: tuple[Part, ...], total: int, model: str) -> "Asked":
        fell = before is not None and before.continued_by(parts) and total < before.total
        return Asked(parts, total, model, fell or (before is not None and before.altered))

    def continued_by(self, parts: tuple[Part, ...]) -> bool:
        length = len(self.parts)
        return 0 < length <= len(parts) and parts[length - 1].prefix == self.parts[-1].prefix


def claude_steps(path: Path) -> Iterator[Step]:
    """Yield the steps of a Claude Code session in which nothing was taken away."""
    session = claude_code.Session()
    each(path, session.take)
    before: Asked | None = None
    for request in session.requests(session.conversation(), claude_code.History()):
        usage, model = request.answer.usage, request.answer.model
        total = usage.prompt
        now = Asked.after(before, tuple(request.history.parts), total, model)
        yield from _step(path.name, tokens.family(model), before, now)
        before = now


class _Codex(codex.Session):
    """Keeps the parts of each request until its usage is told, and the answers, of which the size is told."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.at: list[tuple[Part, ...]] = []
        self.answers: list[Step] = []
        self._first = 0

    def sending(self) -> None:
        super().sending()
        self.at.append(tuple(self.history.parts))
        self._first = len(self.history.parts)

    def take(self, line: Line) -> None:
        super().take(line)
        if self._first and b'"token_count"' in line.text[:200]:
            usage = (json.loads(line.text)["payload"]["info"] or {}).get("last_token_usage")
            parts = tuple(part for part in self.history.parts[self._first :] if part.role == "assistant")
            open_parts = tuple(part for part in parts if part.block.kind != "thinking")
            self._first = 0
            if usage and open_parts:
                cost = usage["output_tokens"] - usage["reasoning_output_tokens"]
                self.answers.append(Step(self.name, "openai", max(cost, 1), open_parts))


def codex_steps(path: Path) -> Iterator[Step]:
    """Yield the steps of a Codex session in which nothing was taken away, and its answers (`total` 0).

    Reasoning, whose tokens the session tells, is taken as told.
    """
    session = _Codex(path.name)
    each(path, session.take)
    known = {part.prefix: part for part in session.history.parts}
    snapshots = {parts[-1].prefix: parts for parts in session.at if parts}
    before: Asked | None = None
    for sent in session.sent:
        parts = tuple(known.get(part.prefix, part) for part in snapshots.get(sent.prefix, ()))
        now = Asked.after(before, parts, sent.input + (sent.read or 0), sent.model)
        yield from _step(path.name, "openai", before, now)
        before = now
    yield from session.answers


def _step(session: str, family: str, before: Asked | None, now: Asked) -> Iterator[Step]:
    if before is None or before.model != now.model or not before.continued_by(now.parts):
        return
    cost, added = now.total - before.total, now.parts[len(before.parts) :]
    if added and cost > 0:
        yield Step(session, family, cost, added, now.total, now.parts, now.altered)


def row(parts: tuple[Part, ...]) -> tuple[np.ndarray, int]:
    """Return what the coefficients are multiplied with, and the tokens that need no estimate."""
    values = dict.fromkeys(COLUMNS, 0.0)
    told = 0
    for part in parts:
        block = part.block
        f = block.features
        if block.billed_tokens is not None:
            told += block.billed_tokens
        elif block.kind == "thinking":
            values["sealed"] += f.size
            values["thinking"] += 1
        elif block.kind != "image":
            values["size"] += f.size
            for name in ("punctuation", "pairs", "digits", "wide"):
                values[name] += getattr(f, name) * f.size / f.seen
            if f.wrapped and block.kind in ("text", "tool_use", "tool_result"):
                values[block.kind] += 1
    return np.array(list(values.values())), told


def fit(steps: list[Step]) -> np.ndarray:
    """Fit by reweighted least squares on relative errors (Huber), so that hidden input hardly counts."""
    rows = [row(step.parts) for step in steps]
    x = np.array([values for values, _ in rows])
    y = np.array([step.cost - told for step, (_, told) in zip(steps, rows, strict=True)], float)
    base = 1 / np.maximum([step.cost for step in steps], 50)
    weight = base.copy()
    prior = np.zeros((1, len(COLUMNS)))
    prior[0, COLUMNS.index("wide")] = PRIOR
    for _ in range(40):
        scale = np.sqrt(((x * weight[:, None]) ** 2).sum(0)) + 1e-9
        a = np.vstack([x * weight[:, None] / scale, np.eye(len(COLUMNS)) * 1e-2, prior / scale])
        b = np.concatenate([y * weight, np.zeros(len(COLUMNS)), [PRIOR * WIDE[steps[0].family]]])
        solution = np.linalg.lstsq(a, b, rcond=None)[0] / scale
        error = (x @ solution - y) * base
        robust = 1.4826 * np.median(np.abs(error)) + 1e-9
        weight = base * np.sqrt(np.minimum(1, 1.5 * robust / np.maximum(np.abs(error), 1e-9)))
    return solution


class Judged(NamedTuple):
    """A step of a session that was left out: relative errors of the estimate and of len/4, spreads.

    `total` is the error of the whole prompt, given what the session's first request showed of what is unseen.
    """

    step: Step
    kind: str
    error: float
    by_four: float
    total: float
    spread: float
    total_spread: float


def judge(steps: list[Step]) -> list[Judged]:
    """Estimate each session with what the others teach, coefficients and spreads."""
    sessions = sorted({step.session for step in steps})
    found = []
    for fold in range(FOLDS):
        out = set(sessions[fold::FOLDS])
        taught = [step for step in steps if step.session not in out]
        by = fit(taught)
        spreads = kind_spreads([(kind_of(step), _error(step, by)) for step in taught])
        hidden: dict[str, float] = {}
        for step in steps:
            if step.session not in out:
                continue
            error = _error(step, by)
            total = total_spread = float("nan")
            if step.prompt:
                values, told = row(step.prompt)
                seen = float(values @ by) + told
                if step.session in hidden:
                    total = (seen + hidden[step.session] - step.total) / step.total
                    total_spread = _total_spread(step, spreads)
                else:
                    hidden[step.session] = step.total - seen
            size = sum(
                part.block.end - part.block.start
                if part.block.kind == "thinking"
                else part.block.features.size
                for part in step.parts
                if part.block.billed_tokens is None
            )
            kind = kind_of(step)
            found.append(
                Judged(
                    step,
                    kind,
                    error,
                    (size / 4 + row(step.parts)[1]) / step.cost - 1,
                    total,
                    spreads.get(kind, spreads[""]),
                    total_spread,
                )
            )
    return found


def _total_spread(step: Step, spreads: dict[str, float]) -> float:
    """Return the spread of a whole prompt as a share of it: those of its parts, added up."""
    wide = 0.0
    for part in step.prompt:
        block = part.block
        if block.billed_tokens is None:
            estimate = tokens.weigh(block.features, block.kind, step.family)
            wide += spreads.get(block.kind, spreads[""]) * estimate
    return wide / step.total


def unseen(steps: list[Step]) -> list[float]:
    """Return for each session the tokens of its first request that the file does not show."""
    first: dict[str, float] = {}
    for step in steps:
        if step.prompt and step.session not in first:
            shown = sum(
                tokens.weigh(part.block.features, part.block.kind, step.family)
                if part.block.billed_tokens is None
                else part.block.billed_tokens
                for part in step.prompt
            )
            first[step.session] = step.total - shown
    return list(first.values())


def _error(step: Step, by: np.ndarray) -> float:
    values, told = row(step.parts)
    return float(values @ by + told - step.cost) / step.cost


def kind_of(step: Step) -> str:
    """Return the kind that makes out most of what was appended."""
    sizes: dict[str, int] = defaultdict(int)
    for part in step.parts:
        sizes[part.block.kind] += part.block.features.size
    return max(sizes, key=lambda kind: sizes[kind])


def kind_spreads(errors: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Return for each kind (and "" for all) the standard error with which 1.645 to each side hold 90 %."""
    by_kind: dict[str, list[float]] = defaultdict(list)
    for kind, error in errors:
        # The interval is around the estimate, so the error is taken as a share of the estimate.
        share = abs(error / (1 + error)) if error > -0.95 else 20.0
        by_kind[kind].append(share)
        by_kind[""].append(share)
    return {kind: float(np.quantile(e, 0.9)) / Z90 for kind, e in by_kind.items() if len(e) >= 30}


def per_character(paths: list[Path]) -> dict[tuple[str, str], list[float]]:
    """Return {(model, split): tokens a character} of Claude Code's steps that are nearly all tool results."""
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for path in paths:
        before: dict[tuple[str, str], dict] = {}
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                now = json.loads(line)
                chain = (now["session"], now["chain"])
                old, before[chain] = before.get(chain), now
                if now["agent"] != "claude-code" or old is None or old["model"] != now["model"]:
                    continue
                cost = sum(now[name] - old[name] for name in ("input", "read", "write"))
                results = sum(block[2] for block in now["new_blocks"] if block[1] == "tool_result")
                everything = sum(block[2] for block in now["new_blocks"])
                if now["trigger"] == "tool" and results > max(3000, 0.8 * everything) and cost > 0:
                    found[(now["model"], now["split"])].append(cost / everything)
    return found


def speed(folder: Path) -> tuple[float, float]:
    """Return the time of a long session's estimates: over 0.5 µs a call and 1 ns a byte, and ns a byte."""
    path = max((folder / "claude-code").iterdir(), key=lambda file: file.stat().st_size)
    prompt = claude_code.read(path)
    whole = read_bytes(path)
    segments = [(whole[segment.start : segment.end], segment.kind) for segment in prompt.segments]
    size = sum(len(data) for data, _ in segments)
    seconds = min(
        timeit.repeat(
            lambda: [tokens.estimate(data, kind, "anthropic") for data, kind in segments], number=5, repeat=7
        )
    )
    nanoseconds = seconds / 5 * 1e9
    return nanoseconds / (500 * len(segments) + size), nanoseconds / size


def bootstrap(judged: list[Judged], statistic) -> tuple[float, float]:
    """Return the 95 % interval of a statistic, by session."""
    by_session: dict[str, list[Judged]] = defaultdict(list)
    for one in judged:
        by_session[one.step.session].append(one)
    groups = list(by_session.values())
    generator = np.random.default_rng(0)
    draws = []
    for _ in range(300):
        chosen = generator.integers(0, len(groups), len(groups))
        draws.append(statistic([one for index in chosen for one in groups[index]]))
    return tuple(float(q) for q in np.nanquantile(draws, [0.025, 0.975]))


def shares(judged: list[Judged]) -> dict[str, tuple]:
    """Return what is reported of the steps that were left out: name → (case, subset, function)."""

    def quantile(field: str, at: float):
        return lambda those: float(np.nanquantile(np.abs([getattr(one, field) for one in those]), at))

    def covered(those: list[Judged]) -> float:
        return float(np.mean([abs(one.error / (1 + one.error)) <= Z90 * one.spread for one in those]))

    def covered_whole(those: list[Judged]) -> float:
        whole = [one for one in those if not np.isnan(one.total)]
        return float(np.mean([abs(one.total) <= Z90 * one.total_spread for one in whole]))

    def unaltered(statistic):
        return lambda those: statistic([one for one in those if not one.step.altered])

    return {
        "step_median_error": ("ours", quantile("error", 0.5)),
        "step_p90_error": ("ours", quantile("error", 0.9)),
        "prompt_median_error": ("ours", quantile("total", 0.5)),
        "prompt_p90_error": ("ours", quantile("total", 0.9)),
        "step_coverage_90": ("ours", covered),
        "prompt_coverage_90": ("ours", covered_whole),
        "unaltered_prompt_median_error": ("ours", unaltered(quantile("total", 0.5))),
        "unaltered_prompt_p90_error": ("ours", unaltered(quantile("total", 0.9))),
        "unaltered_prompt_coverage_90": ("ours", unaltered(covered_whole)),
        "altered_share": ("ours", lambda those: float(np.mean([one.step.altered for one in those]))),
        "step_median_error ": ("len/4", quantile("by_four", 0.5)),
        "step_p90_error ": ("len/4", quantile("by_four", 0.9)),
    }


def main() -> None:
    """Print coefficients, spreads and errors."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--transcripts", type=Path, required=True)
    parser.add_argument("--requests", type=Path, nargs="*", default=[])
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows: list[dict] = []

    def report(case: str, subset: str, metric: str, value: float, **more) -> None:
        row = {"case": case, "subset": subset, "metric": metric, "value": value, "low": None, "high": None}
        rows.append(row | more)

    folder = arguments.transcripts
    groups = {
        "anthropic-4.6": [
            s for path in sorted((folder / "claude-code").iterdir()) for s in claude_steps(path)
        ],
        "openai": [s for path in sorted((folder / "codex").iterdir()) for s in codex_steps(path)],
    }
    for family, steps in groups.items():
        for name, value in zip(COLUMNS, fit(steps), strict=True):
            report("coefficients", family, name, float(value), n=len(steps))
        judged = judge(steps)
        for kind, value in kind_spreads((one.kind, one.error) for one in judged).items():
            report("spread", family, kind or "all", value, n=sum(kind in ("", one.kind) for one in judged))
        hidden = [float(q) for q in np.quantile(unseen(steps), [0.25, 0.5, 0.75])]
        report("unseen", family, "tokens", hidden[1], low=hidden[0], high=hidden[2], n=len(unseen(steps)))
        for metric, (case, statistic) in shares(judged).items():
            low, high = bootstrap(judged, statistic)
            report(case, family, metric.strip(), statistic(judged), n=len(judged), low=low, high=high)
    for (model, split), values in sorted(per_character(arguments.requests).items()):
        if len(values) >= 20:
            low, middle, high = (float(q) for q in np.quantile(values, [0.25, 0.5, 0.75]))
            name = f"{model} ({tokens.family(model)})"
            report("tokens_per_character", split, name, middle, n=len(values), low=low, high=high)
    share, each_byte = speed(folder)
    report("ours", "all", "time_over_budget", share, n=1)
    report("ours", "all", "ns_per_byte", each_byte, n=1)
    environment = {"python": platform.python_version(), "machine": platform.machine()}
    if arguments.json:
        print(json.dumps({"bench": "tokens", "rows": rows, "environment": environment}))
        return
    for one in rows:
        interval = "" if one["low"] is None else f"  {one['low']:.3f} … {one['high']:.3f}"
        print(
            f"{one['case']:22}{one['subset']:15}{one['metric']:44}{one['value']:9.3f}  n={one['n']}{interval}"
        )


if __name__ == "__main__":
    main()
