"""The local language model: MLX in a process of its own. Nothing here imports MLX until a model is used."""
