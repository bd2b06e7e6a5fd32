"""A GGUF file becomes a folder of mlx_lm that says the same: weights, tokens, chat template."""

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anchorline import config
from anchorline.engine import gguf_header, installed, manifest, requirements, sources
from anchorline.engine.client import Engine
from anchorline.engine.converting import convert
from anchorline.engine.errors import ConversionError
from anchorline.engine.manifest import LocalModel
from anchorline.generation import Request
from support.gguf_files import blocks, header, tiny_qwen

EXACT = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K"]


def dequantised(matrix) -> np.ndarray:
    mx = pytest.importorskip("mlx.core")
    bits = matrix.packed.shape[1] // matrix.scales.shape[1]
    parts = (mx.array(part) for part in matrix)
    return np.array(mx.dequantize(*parts, group_size=32, bits=bits))


@pytest.mark.parametrize("name", EXACT)
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(1, 5))
def test_quantised_weights_are_the_same_numbers_for_mlx(name: str, seed: int, rows: int):
    pytest.importorskip("mlx.core")
    gguf = pytest.importorskip("gguf")
    from anchorline.engine.gguf_blocks import quantised

    kind = gguf.GGMLQuantizationType[name]
    data = blocks(kind, (rows, 512), np.random.default_rng(seed))
    np.testing.assert_array_equal(dequantised(quantised(data, kind)), gguf.quants.dequantize(data, kind))


@pytest.mark.parametrize("name", ["Q6_K", "Q3_K"])
def test_what_mlx_can_not_say_is_quantised_anew_with_8_bits(name: str):
    pytest.importorskip("mlx.core")
    gguf = pytest.importorskip("gguf")
    from anchorline.engine.gguf_blocks import quantised

    kind = gguf.GGMLQuantizationType[name]
    data = blocks(kind, (64, 512), np.random.default_rng(1))
    wanted = gguf.quants.dequantize(data, kind)
    assert abs(dequantised(quantised(data, kind)) - wanted).max() < 0.01 * abs(wanted).max()


def test_large_matrices_are_converted_in_parts(monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("mlx.core")
    gguf = pytest.importorskip("gguf")
    from anchorline.engine import gguf_blocks

    kind = gguf.GGMLQuantizationType.Q5_0
    data = blocks(kind, (37, 512), np.random.default_rng(2))
    whole = gguf_blocks.quantised(data, kind)
    monkeypatch.setattr(gguf_blocks, "CHUNK", 5 * data.shape[1])
    for part, same in zip(gguf_blocks.quantised(data, kind), whole, strict=True):
        np.testing.assert_array_equal(part, same)


@pytest.fixture
def converted(tmp_path: Path) -> tuple[Path, dict]:
    pytest.importorskip("mlx.core")
    pytest.importorskip("gguf")

    tensors = tiny_qwen(tmp_path / "tiny.gguf")
    folder = tmp_path / "mlx"
    folder.mkdir()
    convert(tmp_path / "tiny.gguf", folder)
    return folder, tensors


def test_a_qwen_model_keeps_each_of_its_weights(converted: tuple[Path, dict]):
    import mlx.core as mx

    folder, tensors = converted
    weights = mx.load(str(folder / "model.safetensors"))
    config = json.loads((folder / "config.json").read_text("utf-8"))
    assert config["model_type"] == "qwen2"
    assert config["tie_word_embeddings"]
    assert (config["num_attention_heads"], config["num_key_value_heads"]) == (4, 2)
    assert config["rope_theta"] == 1_000_000.0
    own = {
        "token_embd": "model.embed_tokens",
        "blk.1.attn_k": "model.layers.1.self_attn.k_proj",
        "blk.0.ffn_down": "model.layers.0.mlp.down_proj",
    }
    for theirs, ours in own.items():
        matrix = mx.dequantize(
            *(weights[f"{ours}.{part}"] for part in ("weight", "scales", "biases")), group_size=32, bits=4
        )
        np.testing.assert_array_equal(np.array(matrix), tensors[f"{theirs}.weight"])
    bias = np.array(weights["model.layers.1.self_attn.v_proj.bias"])
    np.testing.assert_array_equal(bias, tensors["blk.1.attn_v.bias"])


def test_a_qwen_model_loads_and_its_tokens_are_qwen_s(converted: tuple[Path, dict]):
    """As llama.cpp splits them (checked with the real files): single digits, no merge across a line's end."""
    pytest.importorskip("mlx_lm")
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(converted[0] / "tokenizer.json"))
    assert tokenizer.encode("the the 12").tokens == ["t", "he", "Ġthe", "Ġ", "1", "2"]
    assert tokenizer.encode("<|im_start|>the<tool_call>").tokens == ["<|im_start|>", "t", "he", "<tool_call>"]
    decomposed, composed = "e\u0301", "\u00e9"
    assert tokenizer.encode(decomposed).ids == tokenizer.encode(composed).ids
    text = "naïve 数据 — x=1\r\n\tdef f():  \n"
    assert tokenizer.decode(tokenizer.encode(text).ids) == text


def test_another_architecture_is_refused_by_name(tmp_path: Path):
    pytest.importorskip("mlx.core")
    pytest.importorskip("gguf")

    tiny_qwen(tmp_path / "tiny.gguf", architecture="mamba")
    with pytest.raises(ConversionError, match="architecture mamba"):
        convert(tmp_path / "tiny.gguf", tmp_path)


def test_a_header_says_what_a_file_is(tmp_path: Path):
    file = tmp_path / "x.gguf"
    file.write_bytes(
        header(
            general__architecture="qwen2",
            general__name="Tiny",
            general__license="apache-2.0",
            general__file_type=15,
            tokenizer__chat_template="{{ x }}",
        )
    )
    assert gguf_header.read(file) == gguf_header.Header("qwen2", "Tiny", "apache-2.0", "Q4_K_M", chat=True)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 200))
def test_no_header_does_more_than_be_refused(tmp_path_factory: pytest.TempPathFactory, noise: bytes, at: int):
    file = tmp_path_factory.mktemp("noise") / "x.gguf"
    good = header(general__architecture="qwen2", general__name="Tiny", general__file_type=15)
    file.write_bytes(good[:at] + noise)
    try:
        read = gguf_header.read(file)
    except ConversionError:
        return
    assert read.architecture


async def test_the_coder_converted_for_mlx_says_what_llama_cpp_says_with_the_same_file(
    coder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Greedy, until the end of the answer, as llama.cpp answered it (llama.cpp of November 2026, one thread)."""
    pytest.importorskip("mlx_lm")
    pytest.importorskip("gguf")
    if not (coder / installed.GGUF).exists():
        pytest.skip("the model is installed as it was converted")
    monkeypatch.setenv("ANCHORLINE_MODELS_DIR", str(tmp_path))
    staged = tmp_path / ".staging-coder"
    staged.mkdir()
    convert(coder / installed.GGUF, staged)
    installed.install(LocalModel(f"path:{coder}", id="coder"), staged)
    engine = Engine(config.Engine(model="coder", deadline_seconds=300))
    try:
        request = Request("Why is the sky blue? Answer in one sentence.", max_tokens=32)
        answer = "".join([chunk.text async for chunk in engine.generate(request)])
    finally:
        await engine.close()
    assert answer == "The sky is blue because it is a shade of blue."


async def test_a_linked_file_of_the_user_s_own_answers(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    if requirements.missing("gguf") or not (model / installed.GGUF).exists():
        pytest.skip("llama.cpp is not here")
    monkeypatch.setenv("ANCHORLINE_MODELS_DIR", str(tmp_path / "models"))
    own = tmp_path / "own.gguf"
    own.symlink_to(model / installed.GGUF)
    receipt = await asyncio.to_thread(sources.pull, manifest.find(f"path:{own}"))
    assert receipt.files[installed.GGUF].link == str((model / installed.GGUF).resolve())
    engine = Engine(config.Engine(model="own"))
    try:
        chunks = [chunk async for chunk in engine.generate(Request("Say hello.", max_tokens=4))]
    finally:
        await engine.close()
    assert "".join(chunk.text for chunk in chunks)
