"""The network: features and labels of decisions, its heads, training, calibration and evaluation."""
