"""The network: its arrays, what it says of a decision, and the folder that it is kept in.

A folder holds ``network.safetensors`` and ``network.json``: names, shapes and sizes are checked when they are
read, since files come from anywhere. Here everything is computed with numpy; `mlx_network` does the same on Metal.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Meta
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from anchorline import files
from anchorline.cache.gaps import Gaps
from anchorline.learn import forward
from anchorline.learn.architecture import HEADS, Architecture, shapes
from anchorline.learn.features import DRAFT, MOMENT, RETURN, VERSION, Features
from anchorline.learn.forward import Batch, FeatureTable, Floats

WEIGHTS, DESCRIPTION = "network.safetensors", "network.json"
MOST_BYTES = 64 << 20
"""Larger files are refused unread."""
HALF = ("grams",)
"""Arrays that are kept in half precision: nearly all of the bytes."""

FORMER = ("reuse.", "scale.boundary_")
"""Beginnings of the arrays of a head that format 1 had and nothing asked."""

Use = Literal["network", "baseline"]
Text = Annotated[str, Meta(max_length=4096)]


class NetworkError(Exception):
    """A folder holds no network that this version can use; the message says why and names the file."""


class CalibrationLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`scale` times the log odds plus `shift`. A scale below 1 says that the network was too sure."""

    scale: Annotated[float, Meta(ge=0, le=10)] = 1.0
    shift: Annotated[float, Meta(ge=-10, le=10)] = 0.0


class Description(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`network.json`. `features` is the version of the features, `heads` says which heads beat their baseline.

    Format 1 has a further head, which is left out where it is read.

    `provenance` is what the network was trained on and how: names and numbers for people.
    """

    architecture: Architecture
    features: int = VERSION
    format: Literal[1, 2] = 2
    calibration: dict[str, tuple[CalibrationLine, ...]] = {}
    heads: dict[str, Use] = msgspec.field(default_factory=lambda: dict.fromkeys(HEADS, "baseline"))
    provenance: dict[str, Text | float | int | bool | None] = {}


class Network:
    """Arrays with their description. Not changed once it is made: `replaced` returns another one."""

    def __init__(self, description: Description, arrays: Mapping[str, Floats]) -> None:
        self.description = description
        self.form = form = description.architecture
        self.arrays = dict(arrays)
        self._columns = columns(form)
        self._models = {model.id: index for index, model in enumerate(form.models)}

    @property
    def parameters(self) -> int:
        """How many numbers were trained."""
        return sum(values.size for name, values in self.arrays.items() if not name.startswith("scale."))

    def uses(self, head: str) -> bool:
        """Says whether a head is better than its baseline, and so to be asked."""
        return self.description.heads.get(head) == "network"

    def replaced(
        self,
        *,
        arrays: Mapping[str, Floats] | None = None,
        calibration: dict[str, tuple[CalibrationLine, ...]] | None = None,
        heads: dict[str, Use] | None = None,
        provenance: dict[str, str | float | int | bool | None] | None = None,
    ) -> "Network":
        """Returns a network in which some parts are others."""
        description = self.description
        if calibration is not None:
            description = msgspec.structs.replace(description, calibration=calibration)
        if heads is not None:
            description = msgspec.structs.replace(description, heads=heads)
        if provenance is not None:
            description = msgspec.structs.replace(description, provenance=provenance)
        return Network(description, self.arrays if arrays is None else arrays)

    def gaps(self, features: Features) -> Gaps:
        """Returns the distribution of the time to the next request."""
        odds = self.gap_odds(self._batch(features))[0]
        beyond = np.cumprod(1.0 / (1.0 + np.exp(-odds)))
        return Gaps(self.form.times, tuple(beyond.tolist()))

    def hit(self, features: Features) -> float:
        """Returns the probability that at least 90 % of the prefix is read from the cache."""
        return float(_probability(self.hit_odds(self._batch(features))[0]))

    def solve(self, features: Features, skills: Mapping[str, float]) -> dict[str, float]:
        """Returns the probability that each model solves the prompt; `skills` are the catalogue's.

        A model that the network never saw gets the embedding of its skill.
        """
        odds = self.solve_odds(self._batch(features), list(skills.items()))[0]
        return dict(zip(skills, _probability(odds).tolist(), strict=True))

    def gap_odds(self, batch: Batch) -> Floats:
        """Returns log odds, calibrated: longer than each time, if longer than the one before (n × times)."""
        return self._calibrated("gap", self._gap(batch))

    def hit_odds(self, batch: Batch) -> Floats:
        """Returns log odds, calibrated (n)."""
        return self._calibrated("hit", self._hit(batch))[:, 0]

    def solve_odds(self, batch: Batch, models: Iterable[tuple[str, float]]) -> Floats:
        """Returns log odds, calibrated (n × models). `models` are names with skills."""
        return self._calibrated("solve", self._solve(batch, *self.embeddings(list(models))))

    def embeddings(self, models: Sequence[tuple[str, float]]) -> tuple[Floats, Floats]:
        """Returns embeddings and biases of models, given as names with skills."""
        own = np.zeros((len(models), self.form.factors), np.float32)
        own_bias = np.zeros(len(models), np.float32)
        skills = np.array([skill for _, skill in models], np.float32)
        for row, (name, _) in enumerate(models):
            index = self._models.get(name)
            if index is not None:
                own[row] = self.arrays["solve.models"][index]
                own_bias[row] = self.arrays["solve.bias"][index]
        return forward.models(self.arrays, skills, own, own_bias)

    def _batch(self, features: Features) -> Batch:
        return FeatureTable([features], self.form).all()

    def _gap(self, batch: Batch) -> Floats:
        odds: Floats = forward.gap(self.arrays, self._trunk("gap", batch), batch, self._columns["gap"])
        return odds

    def _hit(self, batch: Batch) -> Floats:
        odds: Floats = forward.hit(self.arrays, self._trunk("hit", batch), batch, self._columns["hit"])
        return odds

    def _solve(self, batch: Batch, embeddings: Floats, biases: Floats) -> Floats:
        z = self._trunk("solve", batch)
        odds: Floats = forward.solve(self.arrays, z, embeddings, biases)
        return odds

    def _trunk(self, head: str, batch: Batch) -> Floats:
        z: Floats = forward.trunk(self.arrays, batch, self.form, self.form.view(head), np)
        return z

    def _calibrated(self, head: str, odds: Floats) -> Floats:
        lines = self.description.calibration.get(head)
        if not lines:
            return odds
        scale = np.array([line.scale for line in lines], np.float32)
        shift = np.array([line.shift for line in lines], np.float32)
        calibrated: Floats = odds * scale + shift
        return calibrated

    def save(self, folder: Path) -> None:
        """Writes both files, each whole or not at all, for the owner alone. Raises OSError."""
        files.make_folder(folder)
        kept = {
            name: np.ascontiguousarray(values.astype(np.float16 if name in HALF else np.float32))
            for name, values in self.arrays.items()
        }
        text = msgspec.json.format(msgspec.json.encode(self.description), indent=1)
        files.write(folder / WEIGHTS, save(kept))
        files.write(folder / DESCRIPTION, text)


def columns(form: Architecture) -> dict[str, npt.NDArray[np.int64] | None]:
    """Returns the columns of each head's offsets, None where it has none. Raises ValueError for an unknown name."""
    by_head = {head: form.columns(head) for head in HEADS}
    return {head: np.array(indices, np.int64) if indices else None for head, indices in by_head.items()}


def load(folder: Path) -> Network:
    """Reads a network. Raises NetworkError where it is not one, is damaged, or is for other features than these."""
    path = folder / DESCRIPTION
    try:
        if path.stat().st_size > MOST_BYTES:
            raise NetworkError(f"{path}: more than {MOST_BYTES >> 20} MB")
        description = _of_heads(msgspec.json.decode(path.read_bytes(), type=Description))
    except (OSError, msgspec.DecodeError) as error:
        raise NetworkError(f"{path}: {error}") from error
    form = description.architecture
    seen = (form.draft, form.moment, form.back)
    if description.features != VERSION or seen != (DRAFT, MOMENT, RETURN):
        raise NetworkError(f"{path}: trained on other features than this program has: train it anew")
    if {name for name, lines in description.calibration.items() if len(lines) not in (1, len(form.times))}:
        raise NetworkError(f"{path}: a calibration of another width")
    try:
        return Network(description, _arrays(folder / WEIGHTS, form))
    except ValueError as error:  # an offset that is no feature
        raise NetworkError(f"{path}: {error}") from error


def _of_heads(description: Description) -> Description:
    """Returns the description in the newest format: of the heads that there are."""
    views = {head: view for head, view in description.architecture.views.items() if head in HEADS}
    return msgspec.structs.replace(
        description,
        format=2,
        architecture=msgspec.structs.replace(description.architecture, views=views),
        calibration={head: lines for head, lines in description.calibration.items() if head in HEADS},
        heads={head: use for head, use in description.heads.items() if head in HEADS},
    )


def untrained(form: Architecture, seed: int = 0) -> Network:
    """Returns a network of random weights that says nothing yet: heads start at their offsets."""
    draw = np.random.default_rng(seed)
    both = form.hidden + form.seen
    spreads = {
        "grams": 0.1,
        "solve.prompt": both**-0.5,
    }
    arrays: dict[str, Floats] = {}
    for name, shape in shapes(form).items():
        if name == "scale.deviation":
            arrays[name] = np.ones(shape).astype(np.float32)
        elif name in spreads or (name.startswith("trunk") and name.endswith("weight")):
            spread = spreads.get(name, (2.0 / shape[0]) ** 0.5)
            arrays[name] = draw.normal(0.0, spread, shape).astype(np.float32)
        else:
            arrays[name] = np.zeros(shape, np.float32)
    return Network(Description(form), rounded(arrays))


def rounded(arrays: Mapping[str, Floats]) -> dict[str, Floats]:
    """Returns the arrays with the precision that they are kept in."""
    return {
        name: values.astype(np.float16).astype(np.float32) if name in HALF else values.astype(np.float32)
        for name, values in arrays.items()
    }


def _arrays(path: Path, form: Architecture) -> dict[str, Floats]:
    expected = shapes(form)
    arrays: dict[str, Floats] = {}
    try:
        if path.stat().st_size > MOST_BYTES:
            raise NetworkError(f"{path}: more than {MOST_BYTES >> 20} MB")
        with safe_open(path, framework="numpy") as file:
            names = {name for name in file.keys() if not name.startswith(FORMER)}  # noqa: SIM118  (no mapping)
            if names != set(expected):
                raise NetworkError(
                    f"{path}: arrays are missing or unknown: {sorted(names ^ set(expected))[:5]}"
                )
            for name, shape in expected.items():
                part = file.get_slice(name)
                if tuple(part.get_shape()) != shape or part.get_dtype() not in ("F16", "F32"):
                    raise NetworkError(f"{path}: {name} is not of shape {shape}")
                values = file.get_tensor(name).astype(np.float32)
                if not np.isfinite(values).all():
                    raise NetworkError(f"{path}: {name} is not finite")
                arrays[name] = values
    except (OSError, SafetensorError) as error:
        raise NetworkError(f"{path}: {error}") from error
    if (arrays["scale.deviation"] <= 0).any():
        raise NetworkError(f"{path}: a deviation is not above 0")
    return arrays


def _probability(odds: Floats) -> Floats:
    probability: Floats = (1.0 / (1.0 + np.exp(-np.clip(odds, -30.0, 30.0)))).astype(np.float32)
    return probability
