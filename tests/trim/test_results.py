"""Tool results that are sent shorter: only new ones, always the same way, and nothing else of a request."""

import json
from pathlib import Path

import pytest

from anchorline.cache import markers
from anchorline.gateway.splice import shortened
from anchorline.prompt import formats
from anchorline.prompt.model import Prompt
from anchorline.trim.results import Shortened
from bench.bodies import bodies

FILE = "\n".join(f"     {n}→    value_{n} = compute({n})  # a line of the file" for n in range(1, 400))


def conversation(reads: int, form: str = "anthropic") -> bytes:
    """A request with so many answers to calls that read one file."""
    messages: list[dict] = [{"role": "user", "content": "Read it"}]
    for n in range(reads):
        if form == "anthropic":
            messages.append(
                {
                    "role": "assistant",
                    "content": [{"type": "tool_use", "id": f"t{n}", "name": "r", "input": {}}],
                }
            )
            messages.append(
                {
                    "role": "user",
                    "content": [{"type": "tool_result", "tool_use_id": f"t{n}", "content": FILE}],
                }
            )
        elif form == "parts":
            messages.append(
                {
                    "role": "assistant",
                    "content": [{"type": "tool_use", "id": f"t{n}", "name": "r", "input": {}}],
                }
            )
            part = [{"type": "text", "text": FILE}, {"type": "image", "source": {}}]
            messages.append(
                {
                    "role": "user",
                    "content": [{"type": "tool_result", "tool_use_id": f"t{n}", "content": part}],
                }
            )
        elif form == "chat":
            messages.append({"role": "assistant", "content": "calling"})
            messages.append({"role": "tool", "tool_call_id": f"t{n}", "content": FILE})
        else:
            messages.append({"type": "function_call", "call_id": f"t{n}", "name": "r", "arguments": "{}"})
            messages.append({"type": "function_call_output", "call_id": f"t{n}", "output": FILE})
    name = "input" if form == "responses" else "messages"
    return json.dumps(
        {"model": "claude-sonnet-5" if form in ("anthropic", "parts") else "gpt-5.6", name: messages}
    ).encode()


def sent(body: bytes, prompt: Prompt, shorter: Shortened, warm: int = -1) -> bytes:
    trims = shorter.shorten(prompt, warm)
    shorter.keep(prompt, trims)
    changes = shortened(prompt, trims)
    made = markers.apply(body, changes)
    assert markers.strip(made, changes) == body
    return made


@pytest.mark.parametrize("form", ["anthropic", "parts", "chat", "responses"])
def test_every_form_of_a_tool_result(form: str):
    body = conversation(3, form)
    made = sent(body, formats.read(body), Shortened())
    assert made.count(b"value_200") == 1
    assert made.count(b"[= lines 1-399 of tool result 1 above]") == 2
    assert json.loads(made).keys() == json.loads(body).keys()


def test_what_the_provider_holds_is_left_as_it_was_sent():
    body = conversation(3)
    prompt = formats.read(body)
    held = next(i for i, one in enumerate(prompt.segments) if one.kind == "tool_result" and one.message == 4)
    made = sent(body, prompt, Shortened(), warm=held)
    assert made.count(b"value_200") == 2
    assert made.count(b"[= lines") == 1


def test_a_short_prompt_is_left_alone():
    result = {"type": "tool_result", "tool_use_id": "a", "content": "again\n" * 500}
    body = json.dumps(
        {"model": "claude-sonnet-5", "messages": [{"role": "user", "content": [result]}]}
    ).encode()
    assert sent(body, formats.read(body), Shortened()) == body


def test_an_earlier_process_s_form_is_kept_though_the_provider_holds_it():
    first, then = conversation(2), conversation(3)
    prompt, shorter = formats.read(first), Shortened()
    trims = shorter.shorten(prompt, -1)
    known = shorter.keep(prompt, trims)
    made = markers.apply(first, shortened(prompt, trims))
    held = len(prompt.segments) - 1
    begun = made[: made.rindex(b"]}]")]
    assert sent(then, formats.read(then), Shortened(known), held).startswith(begun)
    assert not sent(then, formats.read(then), Shortened(), held).startswith(begun)
    other = dict.fromkeys(known, b"of another version")
    assert sent(then, formats.read(then), Shortened(other), held).count(b"value_200") == 2, "as it came"


@pytest.mark.parametrize("number", range(0, 38, 4))
def test_what_was_sent_is_sent_again_over_real_sessions(data: Path, number: int):
    """Fifty turns, a restart every seven: a request begins with the one before, as it was sent."""
    path = sorted((data / "transcripts").rglob("*.jsonl.gz"))[number]
    shorter, known = Shortened(), {}
    before: tuple[Prompt, list[bytes]] | None = None
    for turn, (_, body) in enumerate(list(bodies(path))[-50:]):
        if turn % 7 == 6:
            shorter = Shortened(known)
        prompt = formats.read(body)
        prefixes = {segment.prefix for segment in prompt.segments}
        goes_on = before is not None and before[0].segments[-1].prefix in prefixes
        warm = len(before[0].segments) - 1 if goes_on and before is not None else -1
        trims = shorter.shorten(prompt, warm)
        known |= shorter.keep(prompt, trims)
        made = markers.apply(body, shortened(prompt, trims))
        again = formats.read(made)
        contents = [again.load(one.start, one.end) for one in again.segments]
        if goes_on and before is not None:
            assert contents[: len(before[1])] == before[1]
        before = prompt, contents
