"""The llama.cpp engine: loads a GGUF file and computes with it on a CPU, through the library in `xllamacpp`."""
