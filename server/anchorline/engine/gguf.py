"""Converts a GGUF file into a folder that mlx_lm loads: weights, configuration and tokenizer.

Of the Llama architecture, GGUF stores the rows of the query and key projections in the order that llama.cpp's rotary
embedding wants (the two halves of a head interleaved); mlx_lm wants the halves one after the other. What becomes of
quantised weights: `gguf_blocks`. The layout of the file: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import json
import re
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
from gguf import GGMLQuantizationType, GGUFReader
from numpy.typing import NDArray
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from anchorline.engine import gguf_blocks
from anchorline.engine.errors import ConversionError

Weights = dict[str, NDArray[Any]]
SPECIAL, USER_DEFINED = 3, 4
"""Token types: control tokens, and words that are one token wherever they stand."""

_DENSE = (GGMLQuantizationType.F32, GGMLQuantizationType.F16, GGMLQuantizationType.BF16)
_CLASSES = {"llama": "LlamaForCausalLM", "qwen2": "Qwen2ForCausalLM"}
"""The architectures that are converted, by the name that GGUF and mlx_lm share."""
_INTERLEAVED = ("llama",)
_NAMES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_BLOCK = re.compile(r"blk\.(\d+)\.(\w+)\.(weight|bias)")
_QWEN_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""As Qwen's own tokenizer.json splits text before it merges bytes."""


def convert(file: Path, folder: Path) -> None:
    """Writes the model in `file` into `folder` (which exists).

    Raises ConversionError, and whatever a damaged file leads to.
    """
    try:
        reader = GGUFReader(file)
    except (ValueError, IndexError, KeyError) as error:
        raise ConversionError(f"{file.name}: not a GGUF file that can be read: {error}") from error
    meta = {key: field.contents() for key, field in reader.fields.items()}
    architecture, tokenizer = meta.get("general.architecture"), meta.get("tokenizer.ggml.model")
    if architecture not in _CLASSES or tokenizer != "gpt2":
        raise ConversionError(
            f"{file.name}: architecture {architecture} with tokenizer {tokenizer} is not supported"
        )
    about = {
        key.removeprefix(f"{architecture}."): value
        for key, value in meta.items()
        if key.startswith(f"{architecture}.")
    }
    weights = _weights(reader, architecture, about)
    _write(folder / "config.json", _config(weights, architecture, about, meta))
    arrays = {name: mx.array(weights.pop(name)) for name in tuple(weights)}
    mx.save_safetensors(str(folder / "model.safetensors"), arrays, metadata={"format": "mlx"})
    _tokenizer(folder, about, meta)


def _weights(reader: GGUFReader, architecture: str, about: dict[str, Any]) -> Weights:
    """Returns the weights by mlx_lm's names; scales, biases and norms in fp32: MLX computes in their type."""
    heads = {}
    if architecture in _INTERLEAVED:
        most = about["attention.head_count"]
        heads = {"attn_q": most, "attn_k": about.get("attention.head_count_kv", most)}
    weights: Weights = {}
    for tensor in reader.tensors:
        prefix = ""
        part, _, leaf = tensor.name.rpartition(".")
        if match := _BLOCK.fullmatch(tensor.name):
            layer, part, leaf = match.groups()
            prefix = f"model.layers.{layer}."
        if part not in _NAMES or leaf not in ("weight", "bias"):
            raise ConversionError(f"tensor {tensor.name} is unknown")
        name = f"{prefix}{_NAMES[part]}"
        if tensor.tensor_type in _DENSE:
            arrays: Weights = {f"{name}.{leaf}": gguf_blocks.dense(tensor.data, tensor.tensor_type)}
        else:
            matrix = gguf_blocks.quantised(tensor.data, tensor.tensor_type)
            arrays = {
                f"{name}.weight": matrix.packed,
                f"{name}.scales": matrix.scales,
                f"{name}.biases": matrix.biases,
            }
        for key, rows in arrays.items():
            weights[key] = _halves(rows, heads[part]) if part in heads else rows
    return weights


def _halves(rows: NDArray[Any], heads: int) -> NDArray[Any]:
    """Returns the rows of each head de-interleaved: first half, then second half."""
    shape = rows.shape
    halves = rows.reshape(heads, shape[0] // heads // 2, 2, *shape[1:]).swapaxes(1, 2)
    return np.ascontiguousarray(halves).reshape(shape)


def _config(
    weights: Weights, architecture: str, about: dict[str, Any], meta: dict[str, Any]
) -> dict[str, Any]:
    heads = about["attention.head_count"]
    config: dict[str, Any] = {
        "model_type": architecture,
        "architectures": [_CLASSES[architecture]],
        "hidden_size": about["embedding_length"],
        "num_hidden_layers": about["block_count"],
        "intermediate_size": about["feed_forward_length"],
        "num_attention_heads": heads,
        "num_key_value_heads": about.get("attention.head_count_kv", heads),
        "rms_norm_eps": about["attention.layer_norm_rms_epsilon"],
        "vocab_size": len(meta["tokenizer.ggml.tokens"]),
        "max_position_embeddings": about["context_length"],
        "rope_theta": about.get("rope.freq_base", 10_000.0),
        "tie_word_embeddings": "lm_head.weight" not in weights,
        "bos_token_id": meta["tokenizer.ggml.bos_token_id"],
        "eos_token_id": meta["tokenizer.ggml.eos_token_id"],
    }
    bits = {
        name.removesuffix(".scales"): weights[f"{name.removesuffix('.scales')}.weight"].shape[-1]
        // scales.shape[-1]
        for name, scales in weights.items()
        if name.endswith(".scales")
    }
    if bits:  # 32 weights of b bits are b words of 32 bits
        usual = min(bits.values())
        group = gguf_blocks.GROUP
        config["quantization"] = {"group_size": group, "bits": usual, "mode": "affine"} | {
            name: {"group_size": group, "bits": own, "mode": "affine"}
            for name, own in bits.items()
            if own != usual
        }
    return config


def _tokenizer(folder: Path, about: dict[str, Any], meta: dict[str, Any]) -> None:
    """Writes tokenizer.json and its configuration from what the GGUF file says of its BPE."""
    tokens: list[str] = meta["tokenizer.ggml.tokens"]
    merges = [tuple(pair.split(" ")) for pair in meta["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE({token: index for index, token in enumerate(tokens)}, merges))
    _split(tokenizer, meta.get("tokenizer.ggml.pre"))
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_tokens(
        [
            AddedToken(token, special=kind == SPECIAL, normalized=False)
            for token, kind in zip(tokens, meta["tokenizer.ggml.token_type"], strict=True)
            if kind in (SPECIAL, USER_DEFINED)
        ]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    named = {
        f"{name}_token": tokens[meta[f"tokenizer.ggml.{key}_token_id"]]
        for name, key in (("bos", "bos"), ("eos", "eos"), ("unk", "unknown"), ("pad", "padding"))
        if f"tokenizer.ggml.{key}_token_id" in meta
    }
    _write(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": about["context_length"],
            "clean_up_tokenization_spaces": False,
            "chat_template": meta["tokenizer.chat_template"],
            **named,
        },
    )


def _split(tokenizer: Tokenizer, rule: str | None) -> None:
    """Has a text split before its bytes are merged, by llama.cpp's name of the rule."""
    if rule == "smollm":
        first = pre_tokenizers.Digits(individual_digits=True)
        rest = pre_tokenizers.ByteLevel(add_prefix_space=False)
    elif rule == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
        first = pre_tokenizers.Split(Regex(_QWEN_WORDS), behavior="isolated", invert=False)
        rest = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    else:
        raise ConversionError(f"pre-tokenizer {rule} is not supported")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([first, rest])


def _write(file: Path, value: dict[str, Any]) -> None:
    file.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", "utf-8")
