"""The tokenizer and the chat template that a GGUF file holds."""

import codecs
import ctypes
from collections.abc import Mapping
from datetime import datetime
from typing import NoReturn

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from anchorline.engine.errors import UnservableError
from anchorline.engine.llama.library import Token

LONGEST_PIECE = 256
"""Bytes of a token's text, for a first try."""


class LlamaDetokenizer:
    """Joins the bytes of tokens to text: a character may be in several."""

    def __init__(self, tokenizer: "LlamaTokenizer") -> None:
        self._tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def add(self, token: int) -> str:
        """Returns the text that is certain once `token` has come."""
        return self._decoder.decode(self._tokenizer.piece(token))

    def rest(self) -> str:
        """Returns what is left when no token follows: of an incomplete character its replacement."""
        return self._decoder.decode(b"", final=True)


class LlamaTokenizer:
    """llama.cpp's tokenizer; the chat template is rendered as transformers renders it, in a sandbox."""

    def __init__(self, library: ctypes.CDLL, model: int) -> None:
        self._library = library
        self._vocabulary: int = library.llama_model_get_vocab(model)
        self.size: int = library.llama_vocab_n_tokens(self._vocabulary)
        self.ends = frozenset(
            token for token in range(self.size) if library.llama_vocab_is_eog(self._vocabulary, token)
        )
        source = library.llama_model_chat_template(model, None)
        self._template = source.decode("utf-8", "replace") if source else ""
        self._compiled: jinja2.Template | None = None

    def encode(self, text: str, *, control: bool, begin: bool = False) -> list[int]:
        """Returns the tokens of a text; see `Tokenizer`."""
        data = text.encode()
        room = len(data) + 8
        tokens = (Token * room)()
        count = self._library.llama_tokenize(self._vocabulary, data, len(data), tokens, room, begin, control)
        if count < 0:
            raise UnservableError("the text has more tokens than bytes")
        return tokens[:count]

    def piece(self, token: int, *, control: bool = False) -> bytes:
        """Returns the bytes of a token; of a control token none, unless they are asked for."""
        room = LONGEST_PIECE
        while True:
            data = ctypes.create_string_buffer(room)
            size = self._library.llama_token_to_piece(self._vocabulary, token, data, room, 0, control)
            if size >= 0:
                return data.raw[:size]
            room = -size

    def render(self, turns: list[dict[str, str]], variables: Mapping[str, object]) -> str:
        """Returns a conversation in the file's chat template. Raises UnservableError where that can't be done."""
        if not self._template:
            raise UnservableError("the model has no chat template; use chat = false")
        try:
            if self._compiled is None:
                self._compiled = _environment().from_string(self._template)
            return self._compiled.render(
                messages=turns,
                add_generation_prompt=True,
                bos_token=self._text(self._library.llama_vocab_bos(self._vocabulary)),
                eos_token=self._text(self._library.llama_vocab_eos(self._vocabulary)),
                **variables,
            )
        except (jinja2.TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
            raise UnservableError(
                f"the model's chat template does not take this conversation ({type(error).__name__})"
            ) from error

    def detokenizer(self) -> LlamaDetokenizer:
        """Returns what turns an answer's tokens into text."""
        return LlamaDetokenizer(self)

    def _text(self, token: int) -> str:
        return self.piece(token, control=True).decode("utf-8", "replace") if token >= 0 else ""


def _environment() -> ImmutableSandboxedEnvironment:
    """Returns Jinja as chat templates expect it: https://huggingface.co/docs/transformers/chat_templating."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = lambda form: datetime.now().astimezone().strftime(form)
    return environment


def _refuse(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)
