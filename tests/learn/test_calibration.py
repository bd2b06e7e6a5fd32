"""Calibration brings what is said to what happens, and a handful of rows changes little."""

import numpy as np
import pytest

from anchorline.learn.calibration import fit
from anchorline.learn.network import CalibrationLine


def test_what_was_too_sure_is_less_sure_afterwards():
    draw = np.random.default_rng(0)
    true = draw.normal(0, 1.5, 4000)
    happened = draw.random(4000) < 1 / (1 + np.exp(-true))
    line = fit(2.5 * true + 1.0, happened)
    assert line.scale == pytest.approx(0.4, abs=0.05)
    assert line.shift == pytest.approx(-0.4, abs=0.12)


def test_few_rows_change_little():
    line = fit([3.0, 3.0], [0.0, 0.0])
    assert line.scale > 0.5
    assert fit([], []) == CalibrationLine()


def test_an_order_is_never_turned_round():
    assert fit(np.linspace(-3, 3, 500), np.linspace(-3, 3, 500) < 0).scale >= 0
