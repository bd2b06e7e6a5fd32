"""llama.cpp's C interface, through the shared library in the package `xllamacpp`.

The package's own classes are those of llama.cpp's server, which answers with text and can't say how likely given
labels are; its extension module exports the C interface as well, on Linux and macOS. Structures by value differ from
release to release of llama.cpp, so those here are compared with the library's defaults before anything uses them.
https://github.com/ggml-org/llama.cpp/blob/master/include/llama.h
"""

import ctypes
import importlib.metadata
import os
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

PACKAGE = "xllamacpp"
MODULE = "xllamacpp.*.so"
SPINS = "1000"
"""How often a thread looks whether the others have come before it sleeps (GNU's OpenMP; a few microseconds).

OpenMP's own 300 000 leave a processor to nobody: beside other programs two threads then write a tenth of what they
could. With none each of some hundred waits a token is a call of the kernel.
"""

Token = ctypes.c_int32
Pointer = ctypes.c_void_p
AbortCallback = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_void_p)
LogCallback = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
ERROR = 4
"""`GGML_LOG_LEVEL_ERROR`."""


class LayoutError(ImportError):
    """The library is of a release that these structures are not of."""


class ModelParameters(ctypes.Structure):
    """`llama_model_params`."""

    _fields_ = (
        ("devices", Pointer),
        ("tensor_buft_overrides", Pointer),
        ("n_gpu_layers", ctypes.c_int32),
        ("split_mode", ctypes.c_int32),
        ("load_mode", ctypes.c_int32),
        ("lazy_mode", ctypes.c_int32),
        ("main_gpu", ctypes.c_int32),
        ("tensor_split", Pointer),
        ("progress_callback", Pointer),
        ("progress_callback_user_data", Pointer),
        ("kv_overrides", Pointer),
        ("vocab_only", ctypes.c_bool),
        ("check_tensors", ctypes.c_bool),
        ("use_extra_bufts", ctypes.c_bool),
        ("no_host", ctypes.c_bool),
        ("no_alloc", ctypes.c_bool),
        ("load_mtp", ctypes.c_bool),
    )


class ContextParameters(ctypes.Structure):
    """`llama_context_params`."""

    _fields_ = (
        ("n_ctx", ctypes.c_uint32),
        ("n_batch", ctypes.c_uint32),
        ("n_ubatch", ctypes.c_uint32),
        ("n_seq_max", ctypes.c_uint32),
        ("n_rs_seq", ctypes.c_uint32),
        ("n_outputs_max", ctypes.c_uint32),
        ("n_outputs_max_per_seq", ctypes.c_uint32),
        ("n_threads", ctypes.c_int32),
        ("n_threads_batch", ctypes.c_int32),
        ("ctx_type", ctypes.c_int32),
        ("rope_scaling_type", ctypes.c_int32),
        ("pooling_type", ctypes.c_int32),
        ("attention_type", ctypes.c_int32),
        ("flash_attn_type", ctypes.c_int32),
        ("rope_freq_base", ctypes.c_float),
        ("rope_freq_scale", ctypes.c_float),
        ("yarn_ext_factor", ctypes.c_float),
        ("yarn_attn_factor", ctypes.c_float),
        ("yarn_beta_fast", ctypes.c_float),
        ("yarn_beta_slow", ctypes.c_float),
        ("yarn_orig_ctx", ctypes.c_uint32),
        ("defrag_thold", ctypes.c_float),
        ("cb_eval", Pointer),
        ("cb_eval_user_data", Pointer),
        ("type_k", ctypes.c_int32),
        ("type_v", ctypes.c_int32),
        ("moe_cache_size", ctypes.c_size_t),
        ("abort_callback", Pointer),
        ("abort_callback_data", Pointer),
        ("embeddings", ctypes.c_bool),
        ("offload_kqv", ctypes.c_bool),
        ("no_perf", ctypes.c_bool),
        ("op_offload", ctypes.c_bool),
        ("swa_full", ctypes.c_bool),
        ("kv_unified", ctypes.c_bool),
        ("samplers", Pointer),
        ("n_samplers", ctypes.c_size_t),
        ("ctx_other", Pointer),
    )


class Batch(ctypes.Structure):
    """`llama_batch`: tokens with their positions, sequences, and whether their logits are wanted."""

    _fields_ = (
        ("n_tokens", ctypes.c_int32),
        ("token", ctypes.POINTER(Token)),
        ("embd", Pointer),
        ("pos", ctypes.POINTER(ctypes.c_int32)),
        ("n_seq_id", ctypes.POINTER(ctypes.c_int32)),
        ("seq_id", ctypes.POINTER(ctypes.POINTER(ctypes.c_int32))),
        ("logits", ctypes.POINTER(ctypes.c_int8)),
    )


_F16 = 1
_DEFAULTS: dict[str, object] = {
    "n_ctx": 512,
    "n_batch": 2048,
    "n_ubatch": 512,
    "n_seq_max": 1,
    "rope_scaling_type": -1,
    "pooling_type": -1,
    "attention_type": -1,
    "rope_freq_base": 0.0,
    "yarn_ext_factor": -1.0,
    "defrag_thold": -1.0,
    "cb_eval": None,
    "type_k": _F16,
    "type_v": _F16,
    "abort_callback": None,
    "embeddings": False,
    "offload_kqv": True,
    "kv_unified": False,
    "samplers": None,
    "n_samplers": 0,
    "ctx_other": None,
}
"""Of `llama_context_default_params`, from the first field to the last: other values mean another layout."""
_MODEL_DEFAULTS: dict[str, object] = {
    "devices": None,
    "tensor_split": None,
    "kv_overrides": None,
    "vocab_only": False,
    "check_tensors": False,
    "use_extra_bufts": True,
}

_INT, _BOOL, _SIZE, _TEXT = ctypes.c_int32, ctypes.c_bool, ctypes.c_size_t, ctypes.c_char_p
_BYTES = ctypes.POINTER(ctypes.c_uint8)
_FUNCTIONS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "llama_backend_init": (None, ()),
    "llama_log_set": (None, (LogCallback, Pointer)),
    "llama_print_system_info": (_TEXT, ()),
    "llama_model_default_params": (ModelParameters, ()),
    "llama_model_load_from_file": (Pointer, (_TEXT, ModelParameters)),
    "llama_model_get_vocab": (Pointer, (Pointer,)),
    "llama_model_n_ctx_train": (_INT, (Pointer,)),
    "llama_model_n_embd": (_INT, (Pointer,)),
    "llama_model_has_encoder": (_BOOL, (Pointer,)),
    "llama_model_chat_template": (_TEXT, (Pointer, _TEXT)),
    "llama_vocab_n_tokens": (_INT, (Pointer,)),
    "llama_vocab_is_eog": (_BOOL, (Pointer, Token)),
    "llama_vocab_bos": (Token, (Pointer,)),
    "llama_vocab_eos": (Token, (Pointer,)),
    "llama_tokenize": (_INT, (Pointer, _TEXT, _INT, ctypes.POINTER(Token), _INT, _BOOL, _BOOL)),
    "llama_token_to_piece": (_INT, (Pointer, Token, _TEXT, _INT, _INT, _BOOL)),
    "llama_context_default_params": (ContextParameters, ()),
    "llama_init_from_model": (Pointer, (Pointer, ContextParameters)),
    "llama_free": (None, (Pointer,)),
    "llama_n_ctx_seq": (ctypes.c_uint32, (Pointer,)),
    "llama_set_n_threads": (None, (Pointer, _INT, _INT)),
    "llama_set_embeddings": (None, (Pointer, _BOOL)),
    "llama_set_abort_callback": (None, (Pointer, AbortCallback, Pointer)),
    "llama_get_memory": (Pointer, (Pointer,)),
    "llama_memory_clear": (None, (Pointer, _BOOL)),
    "llama_memory_seq_rm": (_BOOL, (Pointer, _INT, _INT, _INT)),
    "llama_memory_seq_cp": (None, (Pointer, _INT, _INT, _INT, _INT)),
    "llama_batch_init": (Batch, (_INT, _INT, _INT)),
    "llama_decode": (_INT, (Pointer, Batch)),
    "llama_get_logits_ith": (ctypes.POINTER(ctypes.c_float), (Pointer, _INT)),
    "llama_get_embeddings_ith": (ctypes.POINTER(ctypes.c_float), (Pointer, _INT)),
    "llama_state_seq_get_size": (_SIZE, (Pointer, _INT)),
    "llama_state_seq_get_data": (_SIZE, (Pointer, _BYTES, _SIZE, _INT)),
    "llama_state_seq_set_data": (_SIZE, (Pointer, _BYTES, _SIZE, _INT)),
}


def file() -> Path | None:
    """Returns the library's file; None where the package is not installed."""
    spec = find_spec(PACKAGE)
    folders = spec.submodule_search_locations if spec is not None else None
    return next((path for folder in folders or () for path in sorted(Path(folder).glob(MODULE))), None)


def version() -> str:
    """Returns the package and its version, whose last number is llama.cpp's build."""
    return f"{PACKAGE} {importlib.metadata.version(PACKAGE)}"


@cache
def load() -> ctypes.CDLL:
    """Loads the library, once. Raises ImportError where it is missing, or its structures are other ones."""
    path = file()
    if path is None:
        raise ImportError(f"the package {PACKAGE} is not installed")
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
    library = ctypes.CDLL(str(path))
    for name, (result, arguments) in _FUNCTIONS.items():
        try:
            function = getattr(library, name)
        except AttributeError:
            raise LayoutError(f"{version()} has no {name}") from None
        function.restype, function.argtypes = result, arguments
    _compare(library.llama_context_default_params(), _DEFAULTS)
    _compare(library.llama_model_default_params(), _MODEL_DEFAULTS)
    return library


def _compare(structure: ctypes.Structure, defaults: dict[str, object]) -> None:
    for name, value in defaults.items():
        if getattr(structure, name) != value:
            raise LayoutError(
                f"{version()} is of a release of llama.cpp that is not known here ({name} differs)"
            )


def keep_errors(library: ctypes.CDLL) -> Callable[[], str]:
    """Keeps what llama.cpp reports as an error instead of printing it; the returned function gives the first.

    The first says what is wrong with a file, the later ones that it was therefore not loaded. They name files, tensors
    and numbers, never a prompt.
    """
    errors: list[str] = []

    def log(level: int, text: bytes, _: object) -> None:
        if level == ERROR and len(errors) < 16:
            errors.append(text.decode("utf-8", "replace").strip())

    callback = LogCallback(log)
    library.llama_log_set(callback, None)
    _kept.append(callback)
    return lambda: next((error for error in errors if error), "")


_kept: list[object] = []
"""Callbacks that the library holds: Python must not free them."""
