"""Tool results that are sent shorter: only new ones, always the same way, and nothing else of a request."""

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorline.cache import markers
from anchorline.gateway.splice import shortened
from anchorline.prompt import formats
from anchorline.prompt.model import Prompt
from anchorline.trim.results import Shortened, restored_texts
from bench.data.bodies import bodies
from support.examples import examples
from support.session_logs import ClaudeLog
from trim.outputs import OUTPUT
from trim.requests import FORMS, request, sent, texts

FILE = "\n".join(f"{n:>6}→    value_{n} = compute({n})  # a line of the file" for n in range(1, 400))
AGAIN = b"[= lines 1-399 of tool result 1 above]"


def restores(body: bytes, made: bytes) -> bool:
    return restored_texts(formats.read(made)) == texts(formats.read(body))


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_tool_result(form: str):
    body = request(FILE, FILE, FILE, form=form)
    made = sent(body)
    assert made.count(b"value_200") == 1
    assert made.count(AGAIN) == 2
    assert json.loads(made).keys() == json.loads(body).keys()
    assert restores(body, made)


@examples(150)
@given(
    st.lists(OUTPUT, min_size=1, max_size=6),
    st.sampled_from(FORMS),
    st.sampled_from([("read", {}), ("Bash", {"command": "rg -n x"}), ("Grep", {"pattern": "x"})]),
    st.sampled_from(["", None]),
    st.integers(-1, 12),
)
def test_every_byte_is_restored_from_the_request_as_it_is_sent(outputs, form, asked, system, warm):
    tool, what = asked
    more = {} if system is None else {"system": system}
    body = request(*outputs, form=form, tool=tool, given=what, **more)
    shorter = Shortened()
    sent(request(*outputs[:2], form=form, tool=tool, given=what, **more), shorter)
    made = sent(body, shorter, warm)
    back, own = restored_texts(formats.read(made)), texts(formats.read(body))
    left = texts(formats.read(made))
    for index, of_result in own.items():
        as_it_came = left[index] == of_result and index <= warm  # what the provider held may look like marks
        assert as_it_came or back[index] == of_result


def test_what_the_provider_holds_is_left_as_it_was_sent():
    body = request(FILE, FILE, FILE)
    prompt = formats.read(body)
    held = next(i for i, one in enumerate(prompt.segments) if one.kind == "tool_result" and one.message == 4)
    made = sent(body, warm=held)
    assert made.count(b"value_200") == 2
    assert made.count(b"[= lines") == 1
    assert restores(body, made)


def test_what_was_planned_but_not_sent_is_no_form_to_keep():
    """A plan is also made of requests that go on as they are: that the provider holds."""
    body, shorter = request(FILE, FILE), Shortened()
    prompt = formats.read(body)
    assert len(shorter.shorten(prompt, -1)) == 2
    later = request(FILE, FILE, FILE)
    made = sent(later, shorter, warm=len(prompt.segments) - 1)
    assert made.startswith(body[: body.rindex(b"]}]")])
    assert made.count(b"[= lines 1-399 of tool result 2 above]") == 1
    assert restores(later, made)


def test_a_short_prompt_is_left_alone():
    body = request("again\n" * 500, system="")
    assert sent(body) == body


def test_a_line_that_looks_like_a_mark_is_announced_in_a_short_prompt_too():
    body = request(f"1\n{AGAIN.decode()}\n2", system="")
    made = sent(body)
    assert b"[= the next line is the output's own]" in made
    assert restores(body, made)


def test_an_earlier_process_s_form_is_kept_though_the_provider_holds_it():
    first, then = request(FILE, FILE), request(FILE, FILE, FILE)
    prompt, shorter = formats.read(first), Shortened()
    trims = shorter.shorten(prompt, -1)
    known = shorter.keep(prompt, trims)
    made = markers.apply(first, shortened(prompt, trims))
    held = len(prompt.segments) - 1
    begun = made[: made.rindex(b"]}]")]
    assert sent(then, Shortened(known), held).startswith(begun)
    assert not sent(then, Shortened(), held).startswith(begun)


def test_a_form_of_an_earlier_version_is_not_sent_again_and_what_follows_is_decided_anew():
    first, then = request(FILE, FILE), request(FILE, FILE, FILE)
    prompt, shorter = formats.read(first), Shortened()
    known = dict.fromkeys(shorter.keep(prompt, shorter.shorten(prompt, -1)), b"of another version")
    again = Shortened(known)
    made = sent(then, again, len(prompt.segments) - 1)
    assert made.count(b"value_200") == 1
    assert restores(then, made)
    assert sent(then, again, len(formats.read(then).segments) - 1) == made, "and then it stays so"


@pytest.mark.parametrize("form", FORMS)
def test_a_cache_marker_may_come_and_go_anywhere_in_a_result(form: str):
    """The prefix is the same with and without, the places of the texts are not."""
    plain = json.loads(request(FILE, FILE, FILE, form=form))
    marked = json.loads(request(FILE, FILE, FILE, form=form))
    mark = {"type": "ephemeral"}
    for message in marked.get("messages", []):
        blocks = message.get("content")
        for n, block in enumerate(blocks if isinstance(blocks, list) else []):
            if block["type"] == "tool_result":
                blocks[n] = {"cache_control": mark, **block}
                if isinstance(block["content"], list):
                    block["content"][0] = {"cache_control": mark, **block["content"][0]}
    shorter = Shortened()
    for value in (plain, marked, plain):
        body = json.dumps(value).encode()
        made = sent(body, shorter)
        assert made.count(AGAIN) == 2
        assert restores(body, made)


@pytest.mark.parametrize(
    ("form", "members"),
    [
        ("anthropic", {"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}}),
        ("anthropic", {"context_management": {"edits": [{"type": "something_of_tomorrow"}]}}),
        ("anthropic", {"plugins": [{"id": "context-compression"}]}),
        ("chat", {"transforms": ["middle-out"]}),
        ("chat", {"plugins": [{"id": "context-compression"}]}),
        ("responses", {"truncation": "auto"}),
        ("responses", {"previous_response_id": "resp_1"}),
        ("responses", {"conversation": {"id": "conv_1"}}),
    ],
)
def test_nothing_points_to_what_the_model_may_not_get(form: str, members: dict):
    body = request(FILE, FILE, FILE, form=form, **members)
    shorter = Shortened()
    sent(request(FILE, FILE, FILE, form=form), shorter)  # in which there are pointers
    made = sent(body, shorter)
    assert b" above]" not in made
    assert made.count(b"[= line numbers are padded to 6 columns]") == 3
    assert restores(body, made)


@pytest.mark.parametrize(
    ("form", "members"),
    [
        (
            "anthropic",
            {"context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}},
        ),
        ("anthropic", {"context_management": {"edits": [{"type": "compact_20260112"}]}}),
        ("anthropic", {"context_management": None}),
        ("chat", {"transforms": [], "plugins": [{"id": "web"}]}),
        ("responses", {"truncation": "disabled", "previous_response_id": None, "conversation": None}),
    ],
)
def test_what_takes_no_results_out_is_no_hindrance(form: str, members: dict):
    assert sent(request(FILE, FILE, form=form, **members)).count(AGAIN) == 1


@pytest.mark.parametrize(
    "item", [{"type": "compaction", "encrypted_content": "x"}, {"type": "item_reference", "id": "x"}]
)
def test_nothing_is_counted_past_items_that_the_provider_keeps(item: dict):
    value = json.loads(request(FILE, FILE, form="responses"))
    value["input"].insert(2, item)
    assert AGAIN not in sent(json.dumps(value).encode())


def test_nothing_points_to_a_result_that_can_be_deleted_from_the_cache():
    value = json.loads(request(FILE, FILE, FILE))
    value["messages"][2]["content"][0]["cache_reference"] = "call_0"
    body = json.dumps(value).encode()
    made = sent(body)
    assert AGAIN not in made
    assert made.count(b"[= lines 1-399 of tool result 2 above]") == 1
    assert restores(body, made)


def test_a_result_that_its_client_takes_out_is_no_longer_pointed_to():
    shorter = Shortened()
    sent(request(FILE, FILE, FILE), shorter)
    body = request("[Old tool result content cleared]", FILE, FILE)
    made = sent(body, shorter)
    assert made.count(b"value_200") == 1
    assert made.count(b"[= lines 1-399 of tool result 2 above]") == 1
    assert restores(body, made)


def test_nothing_points_to_what_stands_before_a_compaction_block():
    value = json.loads(request(FILE, FILE, FILE))
    block = {"type": "compaction", "content": "They read the file. " * 99}
    value["messages"][3]["content"].insert(0, block)
    body = json.dumps(value).encode()
    shorter = Shortened()
    sent(request(FILE, FILE, FILE), shorter)
    made = sent(body, shorter)
    assert made.count(b"value_200") == 2, "before the block, and once after it"
    assert restores(body, made)


@pytest.mark.parametrize("kind", ["mcp_tool_result", "web_fetch_tool_result"])
def test_what_the_provider_s_own_tools_gave_goes_back_as_it_came(kind: str):
    value = json.loads(request(FILE, FILE, form="parts"))
    for message in value["messages"]:
        for block in message["content"]:
            if isinstance(block, dict) and block["type"] == "tool_result":
                block["type"] = kind
    body = json.dumps(value).encode()
    assert sent(body) == body


def test_a_text_with_half_a_character_stays_as_it_is():
    plain = FILE.replace("→", " ")
    body = request(plain + "\ud83d", plain + "\ud83d", plain)
    made = sent(body)
    assert made.count(b"value_200") == 2
    assert made.count(b"[= lines 1-398 of tool result 2 above]") == 1, "its other lines can be pointed to"
    assert restores(body, made)


def test_a_command_s_drawing_is_rendered_and_a_file_s_is_not():
    drawing = "".join(f"\r {n:3d}% |{'#' * n:50}|" for n in range(101)) + "\ndone\n"
    drawn = sent(request(drawing, tool="Bash", given={"command": "pip install x"}))
    assert b"[= terminal rendering: 100 overwritten states of lines left out]" in drawn
    for tool, what in (("Read", {"file_path": "a"}), ("Bash", {"command": "cat a"}), ("Bash", {})):
        body = request(drawing, tool=tool, given=what)
        assert sent(body) == body


@pytest.mark.parametrize("form", FORMS)
def test_the_call_of_a_result_is_found_in_every_form(form: str):
    found = "\n".join(f"src/server/handlers.py:{n}: call({n})" for n in range(50))
    body = request(found, form=form, tool="Bash", given={"command": "grep -rn call src"})
    made = sent(body)
    assert b"[= the next 50 lines are of src/server/handlers.py]" in made
    assert restores(body, made)
    assert sent(request(found, form=form, tool="Bash", given={"command": "make"})).count(b"handlers.py") == 50


def _pointers(prompt: Prompt) -> int:
    return sum(text.count(" of tool result ") for all_ in texts(prompt).values() for text in all_)


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_a_session_file_shows_what_would_be_sent_of_its_next_request(name: str, tmp_path: Path):
    log = ClaudeLog()
    log.user("Read it")
    for n in range(3):
        log.answer(f"m{n}", "cat a.py", call=f"call_{n}")
        log.result(f"call_{n}", FILE)
    path = tmp_path / name
    path.write_bytes(gzip.compress(log.bytes()) if name.endswith(".gz") else log.bytes())
    prompt = formats.read_file(path)
    trims = Shortened().shorten(prompt, -1)
    assert [trim.pieces[0].text.count(b"value_200") for trim in trims] == [1, 0, 0]


@pytest.mark.parametrize("number", range(0, 38, 4))
def test_real_sessions_are_sent_the_same_way_for_ever_and_restored(data: Path, number: int):
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
        if turn % 10 == 9:
            assert restored_texts(again) == texts(prompt)
        before = prompt, contents
