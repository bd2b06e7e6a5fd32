"""The local language model: MLX or llama.cpp in a process of its own. Nothing imports either until a model is used."""
