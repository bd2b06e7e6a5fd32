"""Images and documents count by their pixels and pages, wherever they stand and however they are written."""

import base64
import binascii
import json
import struct
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorline.cache.ledger import MemoryLedger
from anchorline.config import Config
from anchorline.planner import Planner
from anchorline.prompt import attachments, formats, tokens, vision
from anchorline.prompt.attachments import USUAL_PAGES, Image
from anchorline.prompt.model import Prompt

NOISE = bytes(range(256)) * 400
CLAUDE = "claude-sonnet-4-5"


def png(width: int, height: int) -> bytes:
    return (
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height) + b"\x08\x06\0\0\0" + NOISE
    )


def gif(width: int, height: int) -> bytes:
    return b"GIF89a" + struct.pack("<HH", width, height) + NOISE


def jpeg(width: int, height: int, before: int = 3) -> bytes:
    """With segments as cameras write them: a preview and profiles of up to 64 kB before the size."""
    exif = b"\xff\xe1" + struct.pack(">H", 65_000) + b"\xff\xd8" + bytes(64_996)
    frame = b"\xff\xff\xc2" + struct.pack(">HBHHB", 17, 8, height, width, 3) + bytes(9)
    return b"\xff\xd8" + exif * before + frame + NOISE


def webp(width: int, height: int, form: str) -> bytes:
    if form == "VP8X":
        body = b"VP8X" + struct.pack("<I", 10) + bytes(4) + (width - 1).to_bytes(3, "little")
        body += (height - 1).to_bytes(3, "little")
    elif form == "VP8L":
        body = b"VP8L" + struct.pack("<IB", 99, 0x2F) + struct.pack("<I", width - 1 | (height - 1) << 14)
    else:
        body = (
            b"VP8 " + struct.pack("<I", 99) + b"\x30\x01\x00\x9d\x01\x2a" + struct.pack("<HH", width, height)
        )
    return b"RIFF" + struct.pack("<I", 12 + len(body)) + b"WEBP" + body + NOISE


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


IMAGES = {
    "png": png(640, 480),
    "gif": gif(640, 480),
    "jpeg": jpeg(640, 480),
    "webp lossy": webp(640, 480, "VP8 "),
    "webp lossless": webp(640, 480, "VP8L"),
    "webp extended": webp(640, 480, "VP8X"),
}


def anthropic_image(data: bytes) -> dict[str, Any]:
    return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": encoded(data)}}


def url(data: bytes) -> str:
    return f"data:image/png;base64,{encoded(data)}"


def read(blocks: list[Any], model: str = CLAUDE, separators: tuple[str, str] = (",", ":")) -> Prompt:
    body = {"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": blocks}]}
    return formats.read(json.dumps(body, separators=separators).encode(), format="anthropic")


def result(content: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": "toolu_1", "content": content}


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_of_any_format_counts_by_its_pixels(name: str):
    assert read([anthropic_image(IMAGES[name])]).tokens == 23 * 18


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": "), (" , ", " : ")])
def test_an_image_in_a_result_counts_as_it_does_outside(separators: tuple[str, str]):
    text = {"type": "text", "text": "done"}
    with_image = read([result([text, anthropic_image(png(640, 480))])], separators=separators)
    alone = read([result([text])], separators=separators)
    assert with_image.tokens - alone.tokens == pytest.approx(23 * 18, abs=25)  # a list, and no string
    two = read(
        [result([anthropic_image(jpeg(640, 480)), text, anthropic_image(gif(28, 28))])], separators=separators
    )
    assert two.tokens - with_image.tokens == pytest.approx(1, abs=3)


def test_the_members_of_a_source_may_stand_in_any_order():
    source = {"data": encoded(png(640, 480)), "media_type": "image/png", "type": "base64"}
    assert read([{"source": source, "type": "image"}]).tokens == 23 * 18


def test_a_payload_may_be_written_with_escapes():
    block = json.dumps(anthropic_image(jpeg(640, 480))).encode().replace(b"/", b"\\/")
    assert tokens.estimate(block, "image", "anthropic") == 23 * 18
    lines = encoded(jpeg(640, 480))
    broken = "\n".join(lines[at : at + 76] for at in range(0, len(lines), 76))
    source = {"type": "base64", "media_type": "image/jpeg", "data": broken}
    block = json.dumps({"type": "image", "source": source}).encode()
    assert tokens.estimate(block, "image", "anthropic") == 23 * 18


CHAT = [
    {"type": "image_url", "image_url": {"url": url(png(1024, 1024)), "detail": "high"}},
    {"type": "image_url", "image_url": {"detail": "high", "url": url(webp(1024, 1024, "VP8X"))}},
]
RESPONSES = [
    {"type": "input_image", "image_url": url(png(1024, 1024)), "detail": "high"},
    {"type": "input_image", "detail": "high", "image_url": url(jpeg(1024, 1024))},
]


def openai(format_: str, items: list[Any], model: str = "gpt-5.5") -> Prompt:
    name = "messages" if format_ == "openai-chat" else "input"
    return formats.read(json.dumps({"model": model, name: items}).encode(), format=format_)


@pytest.mark.parametrize(
    ("model", "expected"),
    [("gpt-5.5", 1229), ("gpt-6.2-sol", 1229), ("gpt-5", 70 + 4 * 140), ("gpt-4o", 85 + 4 * 170), ("o3", 75 + 4 * 150),
     ("gpt-5-mini", 1229), ("gpt-4.1-mini", 1659), ("gpt-4o-mini", 2833 + 4 * 5667)],
)  # fmt: skip
def test_an_image_counts_by_openai_s_rule_for_the_model(model: str, expected: int):
    for format_, parts in (("openai-chat", CHAT), ("openai-responses", RESPONSES)):
        for part in parts:
            assert openai(format_, [{"role": "user", "content": [part]}], model).tokens == expected


def test_an_image_counts_in_what_openai_s_tools_return():
    call = {"type": "function_call_output", "call_id": "c", "output": [RESPONSES[0]]}
    screen = {"type": "computer_screenshot", "image_url": url(png(1024, 1024))}
    for item in (call, {"type": "computer_call_output", "call_id": "c", "output": screen}):
        assert openai("openai-responses", [item]).tokens == pytest.approx(1229, abs=80)
    said = {"role": "tool", "tool_call_id": "c", "content": [CHAT[0]]}
    assert openai("openai-chat", [said]).tokens == pytest.approx(1229, abs=80)
    made = {"type": "image_generation_call", "id": "i", "result": encoded(png(1024, 1024))}
    assert openai("openai-responses", [made]).tokens == pytest.approx(1229, abs=80)


def test_a_low_detail_costs_what_the_model_takes_for_it():
    image = Image(4032, 3024, "low")
    assert vision.image_tokens(image, "openai", "gpt-4o") == 85
    assert vision.image_tokens(image, "openai", "gpt-5.5") <= 308


@pytest.mark.parametrize(
    ("size", "high", "older", "gpt6", "gpt6_high", "gpt55"),
    [
        ((256, 256), 100, 100, 77, 77, 77),
        ((512, 512), 361, 361, 308, 308, 308),
        ((768, 768), 784, 784, 692, 692, 692),
        ((1024, 1024), 1369, 1369, 1229, 1229, 1229),
        ((1280, 720), 1196, 1196, 1104, 1104, 1104),
        ((1920, 1080), 2691, 1560, 2448, 2448, 2448),
        ((1080, 1920), 2691, 1560, 2448, 2448, 2448),
        ((2000, 1125), 2952, 1560, None, None, None),
        ((2000, 1500), 3888, 1564, None, None, None),
        ((2560, 1440), 4784, 1560, 4320, 2931, 4320),
        ((3840, 2160), 4784, 1560, 9792, 2931, 9792),
        ((4032, 3024), 4740, 1564, 14364, 2942, 11868),
    ],
)
def test_images_cost_what_providers_were_seen_to_bill(
    size: tuple[int, int], high: int, older: int, gpt6: int, gpt6_high: int, gpt55: int
):
    image = Image(*size)
    assert vision.image_tokens(image, "anthropic", "claude-opus-5-5") == high
    assert vision.image_tokens(image, "anthropic-4.6", "claude-haiku-4-5") == older
    if gpt6 is not None:
        assert vision.image_tokens(image, "openai", "gpt-6-astra") == gpt6
        assert vision.image_tokens(image._replace(detail="high"), "openai", "gpt-6-astra") == gpt6_high
        assert vision.image_tokens(image, "openai", "gpt-5.5") == gpt55


@given(
    st.integers(1, 20_000),
    st.integers(1, 20_000),
    st.sampled_from(["", "low", "high", "auto", "original"]),
    st.sampled_from(["anthropic", "anthropic-4.6", "openai", "other"]),
    st.sampled_from([None, "gpt-4o", "gpt-5", "gpt-5.2", "gpt-5.5", "o4-mini", "gemini-3-pro"]),
)
def test_any_size_costs_something_and_at_most_what_the_provider_takes(
    width: int, height: int, detail: str, family: str, model: str | None
):
    found = vision.image_tokens(Image(width, height, detail), family, model)
    most = {"anthropic": 4784, "anthropic-4.6": 1568, "other": 1200}.get(family, 500_000)
    assert 1 <= found <= most


def pdf(pages: int, *, packed: bool = False, tree: bool = True, size: int = 400_000) -> bytes:
    """A PDF with so many pages, its objects in the open or packed in an object stream as newer programs do it."""
    kids = b" ".join(b"%d 0 R" % (10 + number) for number in range(pages))
    objects = b"<< /Type /Pages /Kids [%b] /Count %d >>\n" % (kids, pages) if tree else b""
    objects += b"".join(b"<</Type/Page /Parent 2 0 R>>\n" for _ in range(pages))
    if packed:
        stream = zlib.compress(objects)
        objects = (
            b"7 0 obj\n<< /Type /ObjStm /N 9 /First 40 /Filter /FlateDecode /Length %d >>\nstream\r\n"
            % len(stream)
        )
        objects += stream + b"\nendstream endobj\n"
    return b"%PDF-1.7\n" + bytes(range(1, 256)) * (size // 255) + b"\n" + objects + b"trailer\n%%EOF"


def document(data: bytes, **more: Any) -> dict[str, Any]:
    source = {"type": "base64", "media_type": "application/pdf", "data": encoded(data)}
    return {"type": "document", "source": source} | more


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("tree", [False, True])
def test_a_pdf_counts_by_its_pages(packed: bool, tree: bool):
    for pages in (1, 7, 120):
        data = pdf(pages, packed=packed, tree=tree)
        for prompt in (read([document(data)]), read([result([document(data)])])):
            assert prompt.tokens == pytest.approx(pages * 2100, abs=120)


def test_a_pdf_of_openai_s_forms_counts_by_its_pages():
    file = f"data:application/pdf;base64,{encoded(pdf(3))}"
    chat = {"type": "file", "file": {"filename": "a.pdf", "file_data": file}}
    responses = {"type": "input_file", "filename": "a.pdf", "file_data": file}
    for format_, part in (("openai-chat", chat), ("openai-responses", responses)):
        found = openai(format_, [{"role": "user", "content": [part]}])
        assert found.tokens == pytest.approx(3 * 1500, abs=120)


def test_what_is_not_in_the_request_counts_as_the_usual():
    for source in ({"type": "url", "url": "https://a.b/c.png"}, {"type": "file", "file_id": "file_1"}):
        assert read([{"type": "image", "source": source}]).tokens == 1200
        found = read([{"type": "document", "source": source}]).tokens
        assert found == pytest.approx(USUAL_PAGES * 2100, abs=120)
    parts = [
        {"type": "input_image", "image_url": "https://a.b/c.png"},
        {"type": "input_image", "file_id": "file_1"},
        {"type": "input_file", "file_id": "file_1"},
        {"type": "input_file", "file_url": "https://a.b/c.pdf"},
    ]
    found = [openai("openai-responses", [{"role": "user", "content": [part]}]).tokens for part in parts]
    assert found[:2] == [1200, 1200]
    assert found[2:] == pytest.approx([USUAL_PAGES * 1500] * 2, abs=120)


@pytest.mark.parametrize(
    "data", [b"", b"\x89PNG", png(0, 0)[:20], b"\xff\xd8\xff", b"RIFF1234WEBP", b"nonsense" * 9000]
)
def test_a_damaged_image_counts_as_a_usual_one(data: bytes):
    assert read([anthropic_image(data)]).tokens == 1200
    assert read([result([anthropic_image(data)])]).tokens == pytest.approx(1200, abs=80)


def test_a_damaged_pdf_counts_by_its_size():
    assert read([document(b"%PDF-1.4 " + NOISE * 9)]).tokens < 25 * 2100
    assert read([document(pdf(4)[:-2000])]).tokens < 25 * 2100


def test_text_in_a_document_is_text():
    words = "Rename the session strategy and say why. " * 200
    plain = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": words}}
    blocks = {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": words}]}}
    said = read([{"type": "text", "text": words}]).tokens
    for block in (plain, blocks, result([plain])):
        assert read([block]).tokens == pytest.approx(said, rel=0.1)
    file = f"data:text/plain;base64,{encoded(words.encode())}"
    part = {"type": "input_file", "filename": "a.txt", "file_data": file}
    found = openai("openai-responses", [{"role": "user", "content": [part]}]).tokens
    assert found == pytest.approx(said, rel=0.2)


def test_base64_that_is_text_stays_text():
    shown = read([result(url(png(640, 480)))])
    assert shown.tokens > 20_000
    assert (
        read([result([{"type": "text", "text": json.dumps(anthropic_image(png(640, 480)))}])]).tokens > 20_000
    )


def test_only_the_header_of_an_image_is_decoded(monkeypatch: pytest.MonkeyPatch):
    decoded = []
    real = binascii.a2b_base64
    monkeypatch.setattr(binascii, "a2b_base64", lambda data: decoded.append(len(data)) or real(data))
    large = jpeg(640, 480, before=40) + NOISE * 60
    assert read([anthropic_image(large)]).tokens == 23 * 18
    assert 0 < sum(decoded) < 4000 < len(large) // 100


def test_a_large_attachment_is_no_reason_to_warn():
    secret = b"-----BEGIN RSA PRIVATE KEY-----" + b"A" * 2000  # as base64 of an image may look like anything
    planner = Planner(Config(), MemoryLedger())
    prompt = read(
        [result([anthropic_image(png(900, 900) + secret + NOISE * 20)]), document(pdf(9, size=3_000_000))]
    )
    found = planner.lint(prompt, planner.plan(prompt, now=1000.0))
    assert {one.code for one in found} <= {"AL207"}


def test_a_session_file_counts_as_the_request_does(tmp_path):
    image = anthropic_image(png(640, 480))
    said = {"role": "user", "content": [result([image]), image, document(pdf(3))]}
    head = {
        "type": "user",
        "uuid": "u1",
        "parentUuid": None,
        "sessionId": "s",
        "timestamp": "2026-11-30T10:00:00Z",
    }
    usage = {"input_tokens": 9, "output_tokens": 9}
    answer = {
        "role": "assistant",
        "model": CLAUDE,
        "id": "m",
        "usage": usage,
        "content": [{"type": "text", "text": "k"}],
    }
    lines = [
        head | {"message": {"role": "user", "content": "Look at it."}},
        head | {"type": "assistant", "uuid": "u2", "parentUuid": "u1", "message": answer},
        head
        | {
            "uuid": "u3",
            "parentUuid": "u2",
            "message": said,
            "toolUseResult": {"type": "image", "file": image},
        },
    ]
    path = tmp_path / "s.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    segments = formats.read_file(path).segments[2:]
    assert [one.kind for one in segments] == ["tool_result", "image", "document"]
    assert sum(one.tokens for one in segments) == pytest.approx(read(said["content"]).tokens, rel=0.02)
    assert segments[1].tokens == 23 * 18


def test_a_codex_session_counts_as_the_request_does(tmp_path):
    lines = [
        ("session_meta", {"id": "s", "base_instructions": None}),
        ("turn_context", {"model": "gpt-5.5"}),
        ("response_item", {"type": "message", "role": "user", "content": [RESPONSES[0]]}),
        ("response_item", {"type": "function_call", "call_id": "c", "name": "view", "arguments": "{}"}),
        ("response_item", {"type": "function_call_output", "call_id": "c", "output": [RESPONSES[1]]}),
    ]
    path = tmp_path / "rollout.jsonl"
    path.write_text("".join(json.dumps({"type": kind, "payload": value}) + "\n" for kind, value in lines))
    found = formats.read_file(path).segments
    assert found[0].tokens == 1229
    assert found[2].tokens == pytest.approx(1229, abs=80)


@given(st.recursive(
    st.one_of(st.none(), st.text(max_size=8), st.sampled_from(["image", "base64", "document", url(png(9, 9)), "text"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["type", "source", "content", "data", "url", "image_url", "file"]), inner, max_size=4),
    ),
    max_leaves=12,
))  # fmt: skip
def test_any_block_is_walked(value: Any):
    for block in ({"type": "tool_result", "content": value}, {"type": "image", "source": value}, value):
        content = json.dumps(block).encode()
        _, rest = attachments.within(content)
        assert len(rest) <= len(content)
        for kind in ("tool_result", "image", "document", "other"):
            assert tokens.estimator("openai", "gpt-5")(content, kind) == tokens.estimate(
                content, kind, "openai", "gpt-5"
            )
        ends = [0, *(place for one in attachments.payloads(content) for place in (one.start, one.end))]
        assert ends == sorted(ends)
