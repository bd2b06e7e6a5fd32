"""Converts a GGUF file into a folder that mlx_lm loads: weights, configuration and tokenizer.

GGUF stores the rows of the query and key projections in the order that llama.cpp's rotary embedding wants (the
two halves of a head interleaved); mlx_lm wants the halves one after the other. MLX reads the 4- and 8-bit blocks
of GGUF (Q4_0, Q4_1, Q8_0) as its own affine quantisation of 32 weights a group, so nothing is requantised. The
layout of the file: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import json
import re
from pathlib import Path
from typing import Any

import mlx.core as mx
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from anchorline.engine.errors import ConversionError

Weights = dict[str, mx.array]
GROUP = 32
"""Weights that share a scale and a bias in GGUF's block formats."""
SPECIAL = 3
"""Token type of control tokens."""

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
_BLOCK = re.compile(r"blk\.(\d+)\.(\w+)\.(weight|scales|biases)")


def convert(file: Path, folder: Path) -> None:
    """Writes the model in `file` into `folder` (which exists).

    Raises ConversionError, and whatever a damaged file leads to.
    """
    try:
        weights, metadata = mx.load(str(file), return_metadata=True)
    except (RuntimeError, ValueError) as error:
        raise ConversionError(f"{file.name}: not a GGUF file that MLX reads: {error}") from error
    meta = {key: _plain(value) for key, value in metadata.items()}
    if meta.get("general.architecture") != "llama" or meta.get("tokenizer.ggml.model") != "gpt2":
        kind = meta.get("general.architecture"), meta.get("tokenizer.ggml.model")
        raise ConversionError(
            f"{file.name}: architecture {kind[0]} with tokenizer {kind[1]} is not supported"
        )
    renamed = _renamed(weights, meta)
    _write(folder / "config.json", _config(renamed, meta))
    mx.save_safetensors(str(folder / "model.safetensors"), renamed, metadata={"format": "mlx"})
    _tokenizer(folder, meta)


def _plain(value: Any) -> Any:  # noqa: ANN401  (what a GGUF file holds)
    if not hasattr(value, "tolist"):
        return value
    plain = value.tolist()
    return plain[0] if isinstance(plain, list) and len(plain) == 1 else plain


def _renamed(weights: Weights, meta: dict[str, Any]) -> Weights:
    """Returns the weights by mlx_lm's names, scales, biases and norms in fp32: MLX computes in their type."""
    heads = {
        "attn_q": meta["llama.attention.head_count"],
        "attn_k": meta.get("llama.attention.head_count_kv", meta["llama.attention.head_count"]),
    }
    renamed: Weights = {}
    for name, weight in weights.items():
        value = weight if weight.dtype == mx.uint32 else weight.astype(mx.float32)
        if match := _BLOCK.fullmatch(name):
            layer, part, leaf = match.groups()
            if part in heads:
                value = _halves(value, heads[part])
            prefix = f"model.layers.{layer}."
        else:
            part, _, leaf = name.rpartition(".")
            prefix = ""
        if part not in _NAMES:
            raise ConversionError(f"tensor {name} is unknown")
        renamed[f"{prefix}{_NAMES[part]}.{leaf}"] = value
    return renamed


def _halves(rows: "mx.array", heads: int) -> "mx.array":
    """Returns the rows of each head de-interleaved: first half, then second half."""
    shape = rows.shape
    return rows.reshape(heads, shape[0] // heads // 2, 2, *shape[1:]).swapaxes(1, 2).reshape(shape)


def _config(weights: Weights, meta: dict[str, Any]) -> dict[str, Any]:
    config: dict[str, Any] = {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": meta["llama.embedding_length"],
        "num_hidden_layers": meta["llama.block_count"],
        "intermediate_size": meta["llama.feed_forward_length"],
        "num_attention_heads": meta["llama.attention.head_count"],
        "num_key_value_heads": meta.get("llama.attention.head_count_kv", meta["llama.attention.head_count"]),
        "rms_norm_eps": meta["llama.attention.layer_norm_rms_epsilon"],
        "vocab_size": len(meta["tokenizer.ggml.tokens"]),
        "max_position_embeddings": meta["llama.context_length"],
        "rope_theta": meta.get("llama.rope.freq_base", 10_000.0),
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
        config["quantization"] = {"group_size": GROUP, "bits": usual, "mode": "affine"} | {
            name: {"group_size": GROUP, "bits": own, "mode": "affine"}
            for name, own in bits.items()
            if own != usual
        }
    return config


def _tokenizer(folder: Path, meta: dict[str, Any]) -> None:
    """Writes tokenizer.json and its configuration from what the GGUF file says of its BPE."""
    tokens: list[str] = meta["tokenizer.ggml.tokens"]
    if meta.get("tokenizer.ggml.pre") != "smollm":
        raise ConversionError(f"pre-tokenizer {meta.get('tokenizer.ggml.pre')} is not supported")
    merges = [tuple(pair.split(" ")) for pair in meta["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE({token: index for index, token in enumerate(tokens)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(
        [
            AddedToken(token, special=True, normalized=False)
            for token, kind in zip(tokens, meta["tokenizer.ggml.token_type"], strict=True)
            if kind == SPECIAL
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
            "model_max_length": meta["llama.context_length"],
            "clean_up_tokenization_spaces": False,
            "chat_template": meta["tokenizer.chat_template"],
            **named,
        },
    )


def _write(file: Path, value: dict[str, Any]) -> None:
    file.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", "utf-8")
