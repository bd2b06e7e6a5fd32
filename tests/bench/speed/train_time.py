"""How long training takes, how long an answer takes, and how far numpy and MLX are apart.

    python tests/bench train_time [--rows N] [--runs N] [--json]

Trains all three heads from nothing, with the settings of `anchorline train`, on N made-up decisions (10 000 if not given;
two in five have a draft of 40 words out of 5000), a quarter of N being held out. `train_s_per_10k` is scaled to 10 000
decisions, `train_cpu_s_per_10k` the same in processor seconds, which a busy machine changes less; `epochs_30` is what 30 epochs take without an early stop. `infer_ms` is the median of one head's answer to one
decision in numpy, features given; `features_ms` that of the features of a draft of 1000 characters. `parity` is the largest
difference of log odds between numpy and MLX over 500 decisions. Loads OpenBLAS for MLX where the program would.
"""

import argparse
import random
import time
from collections.abc import Callable

import msgspec
import numpy as np

from anchorline.engine import blas
from anchorline.learn import features
from anchorline.learn.features import Decision
from anchorline.learn.forward import FeatureTable
from anchorline.learn.network import Network
from bench.reporting import environment, interval, show
from support import worlds

WORDS = [f"word{index}" for index in range(5000)]


def decisions(count: int, seed: int) -> list[Decision]:
    """Return made-up decisions; those with a draft get one that is about as long as a person's."""
    draw = random.Random(seed)
    found = []
    for row in worlds.decisions(count, seed, first=seed * 1_000_000):
        seen = row.features
        if seen.grams:
            own = features.of(" ".join(draw.choices(WORDS, k=40)))
            grams = tuple(dict.fromkeys((*seen.grams[:50], *own.grams)))[:512]
            seen = msgspec.structs.replace(seen, grams=grams)
        found.append(msgspec.structs.replace(row, features=seen))
    return found


def seconds(work: Callable[[], object]) -> float:
    """Return how long `work` takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def timed(work: Callable[[Decision], object], rows: list[Decision]) -> list[float]:
    """Return the milliseconds that `work` takes with each row, after a few to warm up."""
    for row in rows[:20]:
        work(row)
    return [1000 * seconds(lambda row=row: work(row)) for row in rows]


def parity(network: Network, rows: list[Decision]) -> float:
    """Return the largest difference of log odds."""
    from anchorline.learn.mlx_network import MlxNetwork

    fast = MlxNetwork(network)
    batch = FeatureTable([row.features for row in rows], network.form).all()
    models = list(worlds.MODELS.items())
    pairs = [
        (network.gap_odds(batch), fast.gap_odds(batch)),
        (network.hit_odds(batch), fast.hit_odds(batch)),
        (network.solve_odds(batch, models), fast.solve_odds(batch, models)),
    ]
    return max(float(np.abs(one - other).max()) for one, other in pairs)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    library = blas.load()
    from anchorline.learn.training import Settings, train

    rows, held = decisions(arguments.rows, 0), decisions(arguments.rows // 4, 1)
    scale = 10_000 / arguments.rows
    whole, full, cpu = [], [], []
    network = None
    for _ in range(arguments.runs):
        epochs: list[float] = []

        def ended(now, epochs=epochs):
            if now.step == now.steps:
                epochs.append(now.seconds)

        begun, used = time.perf_counter(), time.process_time()
        network = train(rows, held, skills=worlds.MODELS, progress=ended)
        whole.append(scale * (time.perf_counter() - begun))
        cpu.append(scale * (time.process_time() - used))
        full.append(whole[-1] * Settings().epochs / len(epochs))
    assert network is not None
    some = [row for row in rows if row.features.grams][:500]
    apart = parity(network, some)
    report = [
        interval("ours", "train_s_per_10k", whole),
        interval("ours", "train_cpu_s_per_10k", cpu),
        interval("ours", "epochs_30", full),
        interval("ours", "infer_ms", timed(lambda row: network.gaps(row.features), some), subset="gap"),
        interval("ours", "infer_ms", timed(lambda row: network.hit(row.features), some), subset="hit"),
        interval(
            "ours",
            "infer_ms",
            timed(lambda row: network.solve(row.features, worlds.MODELS), some),
            subset="solve",
        ),
        interval("ours", "features_ms", timed(lambda _: features.of("please fix src/parser.py " * 40), some)),
        {
            **interval("ours", "parity", [apart]),
            **dict.fromkeys(("value", "low", "high"), float(f"{apart:.2e}")),
            "n": len(some),
        },
    ]
    about = {**environment(), "blas": library.library, "parameters": network.parameters}
    show("train_time", report, about, as_json=arguments.json)


if __name__ == "__main__":
    main()
