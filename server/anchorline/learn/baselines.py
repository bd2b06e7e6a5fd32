"""Simple models that a network has to be measured against, for ever. They need scikit-learn.

Each is fitted on the train rows of a question and says how probable the answer yes is on the test rows.
"""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
NAMES = ("logistic", "knn", "boosting")
MISSING = "logistic, knn and boosting are left out: they need scikit-learn (pip install scikit-learn)"
NEIGHBOURS = 25
MOST = 20_000
"""Train rows that are fitted on, drawn at random."""


def available() -> bool:
    """Tell whether scikit-learn is there."""
    return find_spec("sklearn") is not None


def predictions(
    train: Floats, truth: Floats, weights: Floats, test: Floats, seed: int = 0
) -> dict[str, Floats]:
    """Return the probabilities of each model for the rows of `test`."""
    from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415  (only where it is there)
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.neighbors import KNeighborsClassifier  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415
    from threadpoolctl import threadpool_limits  # noqa: PLC0415  (comes with scikit-learn)

    if len(train) > MOST:
        chosen = np.random.default_rng(seed).choice(len(train), MOST, replace=False)
        train, truth, weights = train[chosen], truth[chosen], weights[chosen]
    label = truth >= 0.5
    if label.all() or not label.any():
        return {}
    models: dict[str, Callable[[], Any]] = {
        "logistic": lambda: LogisticRegression(C=0.1, max_iter=500),
        "knn": lambda: KNeighborsClassifier(min(NEIGHBOURS, len(train))),
        "boosting": lambda: HistGradientBoostingClassifier(
            max_iter=150, learning_rate=0.06, max_leaf_nodes=15, l2_regularization=1.0, random_state=seed
        ),
    }
    found = {}
    with threadpool_limits(1):  # on a busy machine threads wait for each other for minutes
        for name in NAMES:
            model = models[name]()
            if name == "boosting":
                model.fit(train, label, sample_weight=weights)
            elif name == "logistic":
                model = make_pipeline(StandardScaler(), model)
                model.fit(train, label, logisticregression__sample_weight=weights)
            else:
                model = make_pipeline(StandardScaler(), model).fit(train, label)
            found[name] = np.asarray(model.predict_proba(test)[:, 1], np.float64)
    return found
