"""What llama.cpp has read, in one context: a main sequence of tokens, and branches of it for a moment.

The context grows with what is asked for: memory for all that a model could read, some hundred megabytes, is rarely
used.
"""

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from anchorline.engine.backend import StoppedError
from anchorline.engine.llama.library import AbortCallback

Floats = npt.NDArray[np.floating]
MAIN = 0
BRANCHES = 16
"""Sequences beside the main one."""
AT_ONCE = 128
"""Tokens that are read at once: between two reads a request shows that it lives."""
SMALLEST = 2048
"""Tokens that a context has room for, at first."""
_OUT_OF_ROOM, _ABORTED = 1, 2
"""What `llama_decode` returns."""


class Entry(msgspec.Struct, frozen=True):
    """A token to read, its position, the sequences that it belongs to, and whether its logits are wanted."""

    token: int
    position: int
    sequences: tuple[int, ...] = (MAIN,)
    output: bool = False


class Sequences:
    """A context of llama.cpp."""

    def __init__(
        self, library: ctypes.CDLL, model: int, *, threads: int, most: int, stopped: Callable[[], bool]
    ) -> None:
        self._library = library
        self._model = model
        self._threads = threads
        self._most = most
        self._stopped = AbortCallback(lambda _: stopped())
        self._batch = library.llama_batch_init(AT_ONCE, 0, BRANCHES + 1)
        self._vocabulary = library.llama_vocab_n_tokens(library.llama_model_get_vocab(model))
        self._width = library.llama_model_n_embd(model)
        self.tokens: list[int] = []
        """What the main sequence holds."""
        self._context: int = self._made(min(SMALLEST, most))

    def _made(self, size: int) -> int:
        parameters = self._library.llama_context_default_params()
        parameters.n_ctx = size
        parameters.n_batch = parameters.n_ubatch = AT_ONCE
        parameters.n_seq_max = BRANCHES + 1
        parameters.n_threads = parameters.n_threads_batch = self._threads
        parameters.kv_unified = True
        context: int | None = self._library.llama_init_from_model(self._model, parameters)
        if context is None:
            raise MemoryError(f"no memory for a context of {size} tokens")
        self._library.llama_set_abort_callback(context, self._stopped, None)
        self.size = int(self._library.llama_n_ctx_seq(context))
        return context

    def make_room(self, tokens: int) -> None:
        """Makes the context at least so large; what it holds stays."""
        if tokens <= self.size:
            return
        held = self.saved()
        before, kept = self._context, self.tokens
        size = self.size
        while size < tokens:
            size *= 2
        self._library.llama_free(before)
        self._context = self._made(min(size, self._most))
        self.tokens = []
        if kept:
            self.restore(kept, held)

    # The main sequence

    def read(self, tokens: Sequence[int], *, outputs: bool = False) -> None:
        """Reads at most `AT_ONCE` tokens after those that are held, for the logits of the last one, or of all."""
        at = len(self.tokens)
        last = len(tokens) - 1
        self.decode(
            [Entry(token, at + index, output=outputs or index == last) for index, token in enumerate(tokens)]
        )
        self.tokens += tokens

    def cut(self, count: int) -> None:
        """Takes back all but the first `count` tokens. A model that can't take back a part forgets everything."""
        if not self._library.llama_memory_seq_rm(self._memory, MAIN, count, -1):
            count = 0
            self._library.llama_memory_clear(self._memory, True)
        del self.tokens[count:]

    def saved(self) -> bytes:
        """Returns what is computed of the main sequence, for `restore`."""
        size = self._library.llama_state_seq_get_size(self._context, MAIN)
        state = (ctypes.c_uint8 * size)()
        written = self._library.llama_state_seq_get_data(self._context, state, size, MAIN)
        return bytes(memoryview(state)[:written])

    def restore(self, tokens: Sequence[int], state: bytes) -> None:
        """Has the main sequence hold `tokens`, of which `state` was saved; nothing, where it is not of this model."""
        self.make_room(len(tokens))
        self.cut(0)
        data = (ctypes.c_uint8 * len(state)).from_buffer_copy(state)
        if self._library.llama_state_seq_set_data(self._context, data, len(state), MAIN):
            self.tokens = list(tokens)
        else:
            self.cut(0)

    # Branches

    def branch(self, number: int) -> None:
        """Has a branch begin with all that the main sequence holds."""
        self._library.llama_memory_seq_cp(self._memory, MAIN, number, -1, -1)

    def clear(self, number: int) -> None:
        """Forgets a branch."""
        self._library.llama_memory_seq_rm(self._memory, number, -1, -1)

    # One pass

    def decode(self, entries: Sequence[Entry]) -> None:
        """Reads at most `AT_ONCE` tokens. Raises StoppedError, and MemoryError."""
        batch: Any = self._batch
        batch.n_tokens = len(entries)
        for index, entry in enumerate(entries):
            batch.token[index] = entry.token
            batch.pos[index] = entry.position
            batch.n_seq_id[index] = len(entry.sequences)
            for which, sequence in enumerate(entry.sequences):
                batch.seq_id[index][which] = sequence
            batch.logits[index] = entry.output
        code = self._library.llama_decode(self._context, batch)
        if code == _ABORTED:
            raise StoppedError
        if code == _OUT_OF_ROOM:
            raise MemoryError("the context is full")
        if code:
            raise RuntimeError(f"llama_decode returned {code}")

    def logits(self, index: int) -> Floats:
        """Returns the logits after the entry with this index of the last pass; they hold until the next one."""
        return self._array(self._library.llama_get_logits_ith(self._context, index), self._vocabulary)

    def hidden(self, tokens: Sequence[int]) -> Floats:
        """Returns the sum of the last hidden states of tokens that are read by themselves, in a branch."""
        self.make_room(len(self.tokens) + len(tokens))
        total = np.zeros(self._width, dtype=np.float64)
        self._library.llama_set_embeddings(self._context, True)
        try:
            for start in range(0, len(tokens), AT_ONCE):
                part = tokens[start : start + AT_ONCE]
                self.decode([Entry(token, start + at, (1,), True) for at, token in enumerate(part)])
                for index in range(len(part)):
                    state = self._library.llama_get_embeddings_ith(self._context, index)
                    total += self._array(state, self._width)
        finally:
            self._library.llama_set_embeddings(self._context, False)
            self.clear(1)
        return total

    @property
    def _memory(self) -> int:
        memory: int = self._library.llama_get_memory(self._context)
        return memory

    def _array(self, values: Any, size: int) -> Floats:  # noqa: ANN401  (a pointer to floats)
        if not values:
            raise RuntimeError("llama.cpp computed no values")
        array: Floats = np.ctypeslib.as_array(values, shape=(size,))
        return array
