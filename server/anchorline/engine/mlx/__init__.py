"""The MLX engine: loads an mlx_lm model folder and computes with it, on Metal or, more slowly, on a CPU."""
