"""GGUF files: a header alone, and a whole model of the Qwen2 architecture that is too small to know anything."""

import struct
from pathlib import Path


def header(**values: str | int) -> bytes:
    """Returns a GGUF file without tensors; `general__name` stands for the key general.name."""
    keys = b"".join(_pair(name.replace("__", "."), value) for name, value in values.items())
    return b"GGUF" + struct.pack("<IQQ", 3, 0, len(values)) + keys


def _text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def _pair(key: str, value: str | int) -> bytes:
    if isinstance(value, int):
        return _text(key) + struct.pack("<II", 4, value)
    return _text(key) + struct.pack("<I", 8) + _text(value)


def tiny_qwen(file: Path, quantisation: str = "Q4_K", architecture: str = "qwen2") -> dict:
    """Writes a model with two layers and random weights. Returns its tensors by name as the file's blocks say them."""
    import gguf
    import numpy as np
    from tokenizers.pre_tokenizers import ByteLevel

    kind = gguf.GGMLQuantizationType[quantisation]
    random = np.random.default_rng(0)
    writer = gguf.GGUFWriter(file, architecture)
    words = [*sorted(ByteLevel.alphabet()), "Ġt", "he", "Ġthe", "<|im_start|>", "<|im_end|>", "<tool_call>"]
    hidden, wide, heads, narrow = 256, 512, 4, 2
    writer.add_block_count(2)
    writer.add_context_length(512)
    writer.add_embedding_length(hidden)
    writer.add_feed_forward_length(wide)
    writer.add_head_count(heads)
    writer.add_head_count_kv(narrow)
    writer.add_rope_freq_base(1_000_000.0)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(words)
    writer.add_token_types([1] * (len(words) - 3) + [3, 3, 4])
    writer.add_token_merges(["Ġ t", "h e", "Ġt he"])
    writer.add_bos_token_id(len(words) - 3)
    writer.add_eos_token_id(len(words) - 2)
    writer.add_chat_template(
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    shapes = {"token_embd.weight": (len(words), hidden), "output_norm.weight": (hidden,)}
    for layer in range(2):
        own = {
            "attn_norm.weight": (hidden,),
            "ffn_norm.weight": (hidden,),
            "attn_q.weight": (hidden, hidden),
            "attn_q.bias": (hidden,),
            "attn_k.weight": (hidden // heads * narrow, hidden),
            "attn_k.bias": (hidden // heads * narrow,),
            "attn_v.weight": (hidden // heads * narrow, hidden),
            "attn_v.bias": (hidden // heads * narrow,),
            "attn_output.weight": (hidden, hidden),
            "ffn_gate.weight": (wide, hidden),
            "ffn_up.weight": (wide, hidden),
            "ffn_down.weight": (hidden, wide),
        }
        shapes |= {f"blk.{layer}.{name}": shape for name, shape in own.items()}
    tensors = {}
    for name, shape in shapes.items():
        if len(shape) == 1:
            weights = random.normal(1, 0.1, shape).astype(np.float32)
            writer.add_tensor(name, weights)
        else:
            data = blocks(kind, shape, random)
            writer.add_tensor(name, data, raw_dtype=kind)
            weights = gguf.quants.dequantize(data, kind)
        tensors[name] = weights
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return tensors


def blocks(kind, shape: tuple[int, int], random):
    """Returns random blocks of a quantisation, whose scales are small numbers and not what random bytes mean."""
    import gguf
    import numpy as np

    rows, columns = shape
    weights, size = gguf.GGML_QUANT_SIZES[kind]
    count = rows * columns // weights
    data = random.integers(0, 256, (count, size), dtype=np.uint8)
    scales = {
        "Q4_1": (0, 2),
        "Q5_1": (0, 2),
        "Q4_K": (0, 2),
        "Q5_K": (0, 2),
        "Q6_K": (size - 2,),
        "Q3_K": (size - 2,),
    }
    for at in scales.get(kind.name, (0,)):
        # above zero: a K-quant's scale is, and its sixteenths are small
        data[:, at : at + 2] = abs(random.normal(0, 0.01, (count, 1))).astype(np.float16).view(np.uint8)
    return data.reshape(rows, -1)
