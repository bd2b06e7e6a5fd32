"""The messages between client and worker: JSON, each after its length in four bytes.

A request has a number, and every message about it carries that; 0 is what no request asked for. The worker does
one thing at a time; only `Cancel` may come in between.
"""

import struct

import msgspec

from anchorline.generation import Request, Turn

LENGTH = struct.Struct(">I")
LONGEST = 64 << 20
"""Bytes of a message at most: more is a broken stream."""


class Message(msgspec.Struct, frozen=True, tag=True):
    """One message, named by its class."""


class Load(Message, frozen=True):
    """Load a model. The first message, and once only; `Ready` or `Failed` answers.

    Of conversations at most `conversation_bytes` are kept.
    """

    folder: str
    conversation_bytes: int = 0


class Generate(Message, frozen=True):
    """Generate; `Token` for each piece, then `Finished`."""

    id: int
    request: Request


class Score(Message, frozen=True):
    """Score labels; `Scores` answers."""

    id: int
    text: str
    labels: tuple[str, ...]
    instruction: str = ""
    chat: bool = True


class Embed(Message, frozen=True):
    """Embed texts; `Vectors` answers."""

    id: int
    texts: tuple[str, ...]


class Count(Message, frozen=True):
    """Count the tokens of a conversation in the chat template; `Counted` answers."""

    id: int
    turns: tuple[Turn, ...]


class Cancel(Message, frozen=True):
    """Stop a request at the next token; `Finished` answers all the same."""

    id: int


class Ready(Message, frozen=True):
    """The model has generated its first token. Times in seconds, sizes in bytes."""

    device: str
    library: str
    threads: int
    load_s: float
    id: int = 0


class Working(Message, frozen=True):
    """A part of the prompt is read: a sign of life where there is no token yet."""

    id: int


class Read(Message, frozen=True):
    """The prompt is read but for its last part: its tokens, and how many of them were read before this request."""

    id: int
    prompt: int
    cached: int


class Token(Message, frozen=True):
    """A token was generated; `text` may be empty while a character or a stop string is incomplete."""

    id: int
    text: str


class Finished(Message, frozen=True):
    """A request is done.

    `cached` of the prompt's tokens were read before (an instruction, earlier turns), `proposed` of the generated ones
    came from lookup. `prefill_s` is the time to the first token, `decode_s` that from there to the last. `peak_memory`
    is the most that the worker has had resident, in bytes.
    """

    id: int
    finish: str = ""
    prompt: int = 0
    cached: int = 0
    generated: int = 0
    proposed: int = 0
    prefill_s: float = 0.0
    decode_s: float = 0.0
    peak_memory: int = 0


class Scores(Message, frozen=True):
    """Log-probabilities (natural logarithm), one for each label."""

    id: int
    values: tuple[float, ...]


class Vectors(Message, frozen=True):
    """Vectors of length 1, one for each text."""

    id: int
    values: tuple[tuple[float, ...], ...]


class Counted(Message, frozen=True):
    """The tokens that a conversation has."""

    id: int
    tokens: int


class Failed(Message, frozen=True):
    """What was asked for failed. After `fatal` the worker ends. The reason holds nothing of the prompt."""

    id: int
    reason: str
    fatal: bool = False


ToWorker = Load | Generate | Score | Embed | Count | Cancel
FromWorker = Ready | Working | Read | Token | Finished | Scores | Vectors | Counted | Failed
to_worker = msgspec.json.Decoder(ToWorker)
from_worker = msgspec.json.Decoder(FromWorker)


def frame(message: Message) -> bytes:
    """Returns a message with its length before it."""
    body = msgspec.json.encode(message)
    return LENGTH.pack(len(body)) + body
