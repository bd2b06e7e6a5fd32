"""Makes `models/router`: the tables of the words, and the network that a developer's training starts from.

    python tests/bench train_prior --data DIR [--out models/router] [--seed 0] [--rows 12000] [--epochs 10] [--json]

DIR holds cache/ (weka, requests and requests_more) and routing/. Only sets whose licence permits it are read: the
submissions of LiveCodeBench (MIT), RouteLLM's answers to GSM8K and MMLU (Apache-2.0), callanjfox/kv-cache-tester's
traces (Apache-2.0), and logged sessions (MIT, Apache-2.0, CC0); of the last two only what is marked train. `wording.msgpack` is
exact; `prior-1/` is a network, trained by seed on at most --rows rows for each head. A sixth of the sessions and prompts is
held out: it says when to stop, and calibrates. MODEL_CARD.md there tells the figures.
"""

import argparse
import json
import sys
import time
from hashlib import blake2b
from pathlib import Path

import msgspec
import numpy as np

from anchorline.cache.gaps import HazardGaps
from anchorline.learn import network
from anchorline.learn.architecture import HEADS
from anchorline.learn.features import Decision
from anchorline.learn.training import Settings, TrainingProgress, train
from anchorline.route import wording
from anchorline.trial.versions import ABOUT, StoredFile, Version
from bench.data import hit_rows, weka_traces
from bench.data.routing_sets import PERMITTED, read
from bench.make import hit_models, solve_prior
from bench.make.gap_models import decisions as gap_decisions
from bench.make.gaps import weka_rows

VERSION = "prior-1"
USED: tuple[str, ...] = ()
"""The heads that beat what decides without them: none so far (MODEL_CARD.md)."""
SOURCES = {
    "livecodebench": "LiveCodeBench submissions before 2024-07 (MIT)",
    "gsm8k, mmlu": "RouteLLM's answers (Apache-2.0)",
    "weka": "callanjfox/kv-cache-tester, train (Apache-2.0)",
    "requests": "public sessions of coding agents, train (MIT, Apache-2.0, CC0)",
}


def rows(data: Path, most: int) -> list[Decision]:
    """Return the rows of all heads, at most `most` of each kind, whole sessions."""
    cache = data / "cache"
    traces = weka_traces.read(cache / "weka.jsonl.gz", cache / "weka_near_duplicates.json")
    pauses = gap_decisions(weka_rows([one for one in traces if one.split == "train"]), HazardGaps())
    logged, _ = hit_rows.read([cache / "requests.jsonl.gz", cache / "requests_more.jsonl.gz"])
    hits = hit_models.decisions([one for one in logged if one.train])
    solved = solve_prior.decisions(permitted(data))
    return [*thinned(pauses, most), *thinned(hits, most), *thinned(solved, most)]


def permitted(data: Path) -> dict[str, solve_prior.Prompts]:
    """Return the sets of prompts that what ships may learn from."""
    return {name: one for name, one in read(data / "routing").items() if name in PERMITTED}


def thinned(given: list[Decision], most: int) -> list[Decision]:
    """Return the decisions of some sessions, drawn whole, at most so many."""
    sessions: dict[str, list[Decision]] = {}
    for one in given:
        sessions.setdefault(one.session, []).append(one)
    kept: list[Decision] = []
    for name in np.random.default_rng(0).permutation(sorted(sessions)):
        if len(kept) + len(sessions[name]) <= most:
            kept += sessions[name]
    return kept


def fitted(decisions: list[Decision], seed: int, epochs: int) -> network.Network:
    """Return the network."""
    sessions = sorted({one.session for one in decisions})
    late = set(np.random.default_rng(0).permutation(sessions)[: len(sessions) // 6].tolist())
    return train(
        [one for one in decisions if one.session not in late],
        [one for one in decisions if one.session in late],
        heads=["gap", "hit", "solve"],
        skills=solve_prior.SKILLS,
        settings=Settings(seed=seed, epochs=epochs, rate=1e-3),
        progress=told,
    )


def told(progress: TrainingProgress) -> None:
    """Say where the training stands, after each epoch."""
    if progress.held:
        losses = ", ".join(f"{head} {loss:.4f}" for head, loss in progress.held.items())
        print(f"epoch {progress.epoch}/{progress.epochs}, held out: {losses}", file=sys.stderr)


def kept(trained: network.Network, folder: Path, seed: int, decisions: int) -> None:
    """Write a version that the registry reads."""
    heads: dict[str, network.Use] = {head: "network" if head in USED else "baseline" for head in HEADS}
    provenance = {**SOURCES, "rows": decisions, "seed": seed, "command": "python tests/bench train_prior"}
    trained.replaced(heads=heads, provenance=provenance).save(folder)
    files = {}
    for name in (network.WEIGHTS, network.DESCRIPTION):
        content = (folder / name).read_bytes()
        files[name] = StoredFile(len(content), blake2b(content, digest_size=32).hexdigest())
    about = Version(VERSION, created_at=float(int(time.time())), seed=seed, files=files)
    (folder / ABOUT).write_bytes(msgspec.json.format(msgspec.json.encode(about), indent=1))


def main() -> None:
    """Make and write both."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[3] / "models" / "router")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rows", type=int, default=12_000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--words-only", action="store_true", help="leave the network as it is")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    line, words = solve_prior.fit(permitted(arguments.data))
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / wording.FILE).write_bytes(msgspec.msgpack.encode(words))
    made = {"line": msgspec.to_builtins(line), "kinds": [kind.name for kind in words.kinds]}
    if not arguments.words_only:
        decisions = rows(arguments.data, arguments.rows)
        trained = fitted(decisions, arguments.seed, arguments.epochs)
        kept(trained, arguments.out / VERSION, arguments.seed, len(decisions))
        made |= {"rows": len(decisions), "parameters": trained.parameters}
    print(json.dumps(made) if arguments.json else "\n".join(f"{key}: {value}" for key, value in made.items()))


if __name__ == "__main__":
    main()
