"""The training of all heads together, on the labels that there are, starting from a prior where one is given.

Deterministic by seed. Each epoch ends with a checkpoint, so that a training that was interrupted goes on from there and
ends in the same network. A head of the prior that is in use and not trained, for lack of labels, is held to what the
prior says of the same rows (Li and Hoiem, Learning without Forgetting, 2016), since the trunk below it moves; where too
few rows show what it sees, the trunk stays as it is.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from hashlib import blake2b
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated

import mlx.core as mx
import msgspec
import numpy as np
from mlx import optimizers
from msgspec import Meta

from anchorline.learn import forward, network
from anchorline.learn.architecture import HEADS, Architecture, KnownModel
from anchorline.learn.calibration import calibrated
from anchorline.learn.checkpoint import Checkpoint, TrainingState
from anchorline.learn.features import Decision
from anchorline.learn.forward import Batch, FeatureTable, Floats, Values
from anchorline.learn.heads import LabelBatch, Labels
from anchorline.learn.mlx_network import mlx_columns, moved
from anchorline.learn.network import Network

if TYPE_CHECKING:
    from pathlib import Path

Arrays = dict[str, Values]
Share = Annotated[float, Meta(ge=0, le=1)]
Positive = Annotated[int, Meta(ge=1)]


SHOWING = 200
"""Rows that must show what a head sees that is to be held to the prior; with fewer, the trunk stays as it is."""
SHRINK = {"gap": 1e-3, "hit": 1e-2, "solve": 1e-3}


class Settings(msgspec.Struct, frozen=True):
    """How to train.

    `drop` is the share of the trunk's numbers that are left out at each step, `drop_text` of the drafts' words. `words`
    is the learning rate of the words' embeddings, as a share of `rate`.

    `weights` are the heads' shares in the loss. `shrink` pulls a head's own weights to 0, so to its offset: the penalty
    is that times the sum of their squares. Training stops when `patience` epochs brought nothing on held-out sessions.
    """

    seed: int = 0
    epochs: Positive = 30
    batch: Positive = 256
    rate: Annotated[float, Meta(gt=0, le=1)] = 2e-3
    decay: Annotated[float, Meta(ge=0, le=1)] = 0.02
    drop: Share = 0.15
    drop_text: Share = 0.3
    words: Share = 0.1
    patience: Positive = 5
    weights: Mapping[str, float] = {}
    shrink: Mapping[str, float] = msgspec.field(default_factory=SHRINK.copy)


class TrainingProgress(msgspec.Struct, frozen=True):
    """Where a training stands after an epoch, or in the middle of one: mean losses by head, seconds so far."""

    epoch: int
    epochs: int
    step: int
    steps: int
    train: dict[str, float]
    held: dict[str, float]
    best: int
    seconds: float


def train(
    decisions: Sequence[Decision],
    held: Sequence[Decision],
    *,
    heads: Sequence[str] = HEADS,
    start: Network | None = None,
    form: Architecture | None = None,
    skills: Mapping[str, float] = MappingProxyType({}),
    settings: Settings | None = None,
    checkpoint: "Path | None" = None,
    progress: Callable[[TrainingProgress], None] = lambda _: None,
) -> Network:
    """Returns a network that was trained on `decisions` and calibrated on `held`, which are of other sessions.

    It begins as `start`, or untrained in the form `form`. `skills` are the catalogue's, of models that are new to it.
    Its heads are all still marked ``baseline``: whether they are better is for an evaluation on a third set of sessions
    to say. `checkpoint` is a folder: what is kept there is of use until the network is kept, so it is the caller's to
    remove (`checkpoint.forget`).
    """
    settings = settings or Settings()
    first = start or standardised(network.untrained(form or Architecture(), settings.seed), decisions)
    first = with_models(first, decisions, skills)
    run = _Run(first, decisions, held, tuple(heads), settings)
    saved = Checkpoint(checkpoint, _fingerprint(first, decisions, held, heads, settings))
    state = saved.load()
    if state is not None:
        run.resume(state)
    if run.over:
        progress(run.standing(run.steps, {}, {}, time.monotonic()))
    while not run.over:
        run.epoch(progress)
        saved.save(run.state())
    return calibrated(run.best_network(), held, heads)


class _Run:
    """A training while it goes on."""

    def __init__(
        self,
        first: Network,
        decisions: Sequence[Decision],
        held: Sequence[Decision],
        heads: tuple[str, ...],
        settings: Settings,
    ) -> None:
        self.form, self.settings, self.heads, self.first = first.form, settings, heads, first
        self.table = FeatureTable([decision.features for decision in decisions], self.form)
        self.targets = Labels(decisions, self.form)
        self.held_table = FeatureTable([decision.features for decision in held], self.form)
        self.held_targets = Labels(held, self.form)
        used = [head for head in HEADS if head not in heads and first.uses(head)]
        shown = all(self._showing(head) >= SHOWING for head in used)
        self.kept = tuple(used) if shown else ()
        fixed = ["scale.", *(f"{head}." for head in HEADS if head not in heads and head not in self.kept)]
        if not shown:
            fixed += ["trunk.", "grams"]
        elif not any(self.form.view(head)[0] for head in (*heads, *self.kept)):
            fixed.append("grams")
        self.fixed = {
            name: mx.array(values) for name, values in first.arrays.items() if name.startswith(tuple(fixed))
        }
        self.trained: Arrays = {
            name: mx.array(values) for name, values in first.arrays.items() if name not in self.fixed
        }
        self.columns = mlx_columns(network.columns(self.form))
        self.skills = mx.array([model.skill for model in self.form.models], dtype=mx.float32)
        self.steps = max(-(-len(decisions) // settings.batch), 1)
        schedule = optimizers.cosine_decay(settings.rate, self.steps * settings.epochs, settings.rate / 20)
        self.optimizer = optimizers.AdamW(schedule, weight_decay=settings.decay)
        self.optimizer.init(self.trained)
        self.best = dict(self.trained)
        self.done = self.best_epoch = 0
        self.seconds = 0.0
        self._slope = mx.value_and_grad(self._loss)
        self.base = self._held()
        self.best_loss = self._relative(self.base)

    def _showing(self, head: str) -> int:
        """Returns how many rows have all that a head sees."""
        view = np.array(self.form.view(head)) > 0
        return int((self.table.present[:, view] > 0).all(axis=1).sum())

    @property
    def over(self) -> bool:
        """Whether all epochs are done, or the last ones brought nothing."""
        return self.done >= self.settings.epochs or self.done - self.best_epoch >= self.settings.patience

    def epoch(self, progress: Callable[[TrainingProgress], None]) -> None:
        """Goes over all decisions once, in an order that seed and epoch give."""
        begun = time.monotonic()
        settings, sums = self.settings, dict.fromkeys(self.heads, 0.0)
        order = np.random.default_rng((settings.seed, self.done)).permutation(len(self.table))
        key = mx.random.key((settings.seed * 100_003 + self.done) & 0xFFFFFFFF)
        for step in range(self.steps):
            rows = order[step * settings.batch : (step + 1) * settings.batch]
            if not len(rows):
                break
            key, now = mx.random.split(key)
            batch, labels = self.table.batch(rows), self.targets.batch(rows)
            (_, losses), slopes = self._slope(
                self.trained, moved(batch), _moved(labels), self._prior(batch), now
            )
            self._step(slopes)
            mx.eval(self.trained, self.optimizer.state, losses)
            for head, value in losses.items():
                sums[head] += value.item()
            if step + 1 < self.steps:
                means = {head: value / (step + 1) for head, value in sums.items()}
                progress(self.standing(step + 1, means, {}, begun))
        self.done += 1
        held = self._held()
        means = {head: value / self.steps for head, value in sums.items()}
        total = self._relative(held) if held else -self.done  # without any, the last epoch is the best
        if total < self.best_loss:
            self.best, self.best_epoch, self.best_loss = dict(self.trained), self.done, total
        self.seconds += time.monotonic() - begun
        progress(self.standing(self.steps, means, held, time.monotonic()))

    def _step(self, slopes: Arrays) -> None:
        """Goes one step. The embeddings of the words go a smaller one: nearly every draft has words of its own."""
        words, share = self.trained.get("grams"), self.settings.words
        self.trained = self.optimizer.apply_gradients(slopes, self.trained)
        if words is not None:
            self.trained["grams"] = words + share * (self.trained["grams"] - words)

    def _relative(self, held: Mapping[str, float]) -> float:
        """Returns the sum of the heads' losses as shares of those before the training, so that each counts alike."""
        weights = self.settings.weights
        return sum(weights.get(head, 1.0) * value / self.base[head] for head, value in held.items())

    def standing(
        self, step: int, means: dict[str, float], held: dict[str, float], begun: float
    ) -> TrainingProgress:
        """Returns where the training stands after a step of an epoch that has `begun`."""
        epoch = self.done if step == self.steps else self.done + 1
        seconds = self.seconds + max(time.monotonic() - begun, 0.0)
        return TrainingProgress(
            epoch, self.settings.epochs, step, self.steps, means, held, self.best_epoch, round(seconds, 3)
        )

    def _prior(self, batch: Batch) -> dict[str, Values]:
        """Returns what the network said at first, for the heads that are to keep it."""
        odds = {}
        plain = self.first
        if "gap" in self.kept:
            odds["gap"] = mx.array(plain.gap_odds(batch))
        if "hit" in self.kept:
            odds["hit"] = mx.array(plain.hit_odds(batch)[:, None])
        if "solve" in self.kept and self.form.models:
            models = [(model.id, model.skill) for model in self.form.models]
            odds["solve"] = mx.array(plain.solve_odds(batch, models))
        return odds

    def _loss(
        self, trained: Arrays, batch: Batch, labels: LabelBatch, prior: dict[str, Values], key: Values
    ) -> tuple[Values, dict[str, Values]]:
        words, inner = mx.random.split(key, 2)
        batch = batch._replace(shares=_dropped(batch.shares, self.settings.drop_text, words))
        odds, losses = self._losses(
            trained, batch, labels, partial(_dropped, share=self.settings.drop, key=inner)
        )
        total = mx.array(0.0)
        for head, value in losses.items():
            total = total + self.settings.weights.get(head, 1.0) * value
            total = total + self.settings.shrink.get(head, 0.0) * _squares(trained, head)
        for head, before in prior.items():
            total = total + ((odds[head] - before) ** 2).mean()
        return total, losses

    def _losses(
        self, trained: Arrays, batch: Batch, labels: LabelBatch, drop: Callable[[Values], Values]
    ) -> tuple[dict[str, Values], dict[str, Values]]:
        """Returns log odds and mean losses by head."""
        arrays = {**self.fixed, **trained}
        active = {*self.heads, *self.kept}
        views = {self.form.view(head) for head in active}
        seen = {view: forward.trunk(arrays, batch, self.form, view, mx, drop) for view in sorted(views)}
        inner = {head: seen[self.form.view(head)] for head in active}
        odds, losses = {}, {}
        if "gap" in active:
            odds["gap"] = forward.gap(arrays, inner["gap"], batch, self.columns["gap"])
            rows = labels.gap_weight.max(axis=1)
            losses["gap"] = _mean(odds["gap"], labels.gap, labels.gap_weight, rows)
        if "hit" in active:
            odds["hit"] = forward.hit(arrays, inner["hit"], batch, self.columns["hit"])
            losses["hit"] = _mean(odds["hit"], labels.hit, labels.hit_weight, labels.hit_weight)
        if "solve" in active and self.form.models:
            embeddings, biases = forward.models(
                arrays, self.skills, arrays["solve.models"], arrays["solve.bias"]
            )
            odds["solve"] = forward.solve(arrays, inner["solve"], embeddings, biases)
            losses["solve"] = _mean(odds["solve"], labels.solve, labels.solve_weight, labels.solve_weight)
        return odds, {head: value for head, value in losses.items() if head in self.heads}

    def _held(self) -> dict[str, float]:
        """Returns the mean losses on the held-out sessions."""
        sums, weights = dict.fromkeys(self.heads, 0.0), dict.fromkeys(self.heads, 0.0)
        for first in range(0, len(self.held_table), 1024):
            rows = np.arange(first, min(first + 1024, len(self.held_table)))
            labels = self.held_targets.batch(rows)
            counts = {
                "gap": labels.gap_weight.max(axis=1).sum(),
                "hit": labels.hit_weight.sum(),
                "solve": labels.solve_weight.sum(),
            }
            _, losses = self._losses(
                self.trained, moved(self.held_table.batch(rows)), _moved(labels), lambda values: values
            )
            for head, value in losses.items():
                sums[head] += value.item() * float(counts[head])
                weights[head] += float(counts[head])
        return {head: value / weights[head] for head, value in sums.items() if weights[head]}

    def best_network(self) -> Network:
        """Returns the network of the best epoch, with the precision that it is kept in."""
        arrays = {name: np.array(values) for name, values in {**self.fixed, **self.best}.items()}
        uses: dict[str, network.Use] = {
            head: "baseline" if head in self.heads else self.first.description.heads.get(head, "baseline")
            for head in HEADS
        }
        return self.first.replaced(arrays=network.rounded(arrays), heads=uses)

    def state(self) -> TrainingState:
        """Returns all that is needed to go on."""
        moments = {
            f"{kind}/{name}": np.array(self.optimizer.state[name][kind])
            for name in self.trained
            for kind in "mv"
        }
        return TrainingState(
            self.done,
            self.best_epoch,
            self.best_loss,
            self.seconds,
            {
                **{f"trained/{name}": np.array(values) for name, values in self.trained.items()},
                **{f"best/{name}": np.array(values) for name, values in self.best.items()},
                **moments,
                **{f"at/{name}": np.array(self.optimizer.state[name]) for name in ("step", "learning_rate")},
            },
        )

    def resume(self, state: TrainingState) -> None:
        """Goes on from a checkpoint."""
        parts: dict[str, Arrays] = {"trained": {}, "best": {}, "m": {}, "v": {}, "at": {}}
        for name, values in state.arrays.items():
            part, _, rest = name.partition("/")
            parts[part][rest] = mx.array(values)
        self.trained, self.best = parts["trained"], parts["best"]
        self.optimizer.state = {
            **{name: {"m": parts["m"][name], "v": parts["v"][name]} for name in self.trained},
            **parts["at"],
        }
        self.done, self.best_epoch, self.best_loss = state.epoch, state.best_epoch, state.best_loss
        self.seconds = state.seconds


def _mean(odds: Values, truth: Values, weights: Values, rows: Values) -> Values:
    """Returns the logistic loss for each row."""
    return (weights * (mx.logaddexp(odds, 0.0) - odds * truth)).sum() / mx.maximum(rows.sum(), 1e-6)


def _squares(trained: Arrays, head: str) -> Values:
    """Returns the sum of squares of a head's own weights."""
    total = mx.array(0.0)
    for name, values in trained.items():
        if name.startswith(f"{head}.") and "bias" not in name and name != "solve.odds":
            total = total + (values**2).sum()
    return total


def _dropped(values: Values, share: float, key: Values) -> Values:
    if not share:
        return values
    return values * mx.random.bernoulli(1.0 - share, values.shape, key=key) / (1.0 - share)


def _moved(labels: LabelBatch) -> LabelBatch:
    return LabelBatch(*map(mx.array, labels))


def _fingerprint(
    first: Network,
    decisions: Sequence[Decision],
    held: Sequence[Decision],
    heads: Sequence[str],
    settings: Settings,
) -> str:
    """Returns what names this very training: settings, data and where it starts."""
    digest = blake2b(msgspec.msgpack.encode((settings, tuple(heads), first.form)), digest_size=16)
    for name, values in sorted(first.arrays.items()):
        digest.update(name.encode() + values.tobytes())
    for decision in (*decisions, *held):
        digest.update(msgspec.msgpack.encode((decision.id, decision.gap, decision.hit, dict(decision.solve))))
    return digest.hexdigest()


CONSTANT = 1e6
"""Deviation of a number that is always the same in training: whatever it is later, nothing was learnt from it."""
UNKNOWN = 0.5
"""Skill of a model that the catalogue does not know: between a small one and one of the best."""


def standardised(given: Network, decisions: Sequence[Decision]) -> Network:
    """Returns a network that takes the decisions' numbers as of mean 0 and deviation 1, where they are known."""
    form, arrays = given.form, dict(given.arrays)
    table, first = FeatureTable([decision.features for decision in decisions], form), 0
    mean, deviation = np.zeros(form.dense, np.float32), np.ones(form.dense, np.float32)
    for index, names in enumerate(form.parts):
        columns = slice(first, first + len(names))
        rows = table.dense[table.present[:, index + 1] > 0, columns]
        if len(rows):
            mean[columns], deviation[columns] = rows.mean(axis=0), _deviation(rows)
        first += len(names)
    arrays["scale.mean"], arrays["scale.deviation"] = mean, deviation
    return given.replaced(arrays=arrays)


def with_models(given: Network, decisions: Sequence[Decision], skills: Mapping[str, float]) -> Network:
    """Returns a network with an embedding for every model that answered; a new one starts as its skill says."""
    old = {model.id for model in given.form.models}
    new = sorted({model for decision in decisions for model in decision.solve} - old)
    if not new:
        return given
    models = (*given.form.models, *(KnownModel(model, skills.get(model, UNKNOWN)) for model in new))
    arrays = dict(given.arrays)
    arrays["solve.models"] = np.vstack(
        [arrays["solve.models"], np.zeros((len(new), given.form.factors), np.float32)]
    )
    arrays["solve.bias"] = np.concatenate([arrays["solve.bias"], np.zeros(len(new), np.float32)])
    form = msgspec.structs.replace(given.form, models=models)
    return Network(msgspec.structs.replace(given.description, architecture=form), arrays)


def _deviation(rows: Floats) -> Floats:
    deviation = rows.std(axis=0)
    return np.where(deviation > 1e-3, deviation, CONSTANT).astype(np.float32)
