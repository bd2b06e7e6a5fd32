"""What is warm behind an edit, by the hashes of lines alone."""

from hypothesis import assume, example, given
from hypothesis import strategies as st

from anchorline.instructions.warm_files import InstructionEdit, WarmFile, WarmFiles, keyed_hash, line_hashes
from anchorline.prompt import tokens

KEY = b"k" * 16
PATH = "/project/CLAUDE.md"
LINES = st.lists(st.text("ab \t", max_size=4), max_size=8).map(lambda lines: "\n".join(lines).encode())


def known(text: bytes, *, behind: int = 5000, expires_at: float = 300.0, conversation: str = "c") -> WarmFile:
    size = tokens.estimate(text, "document", tokens.family("claude-opus-4-6"))
    return WarmFile(
        keyed_hash(PATH, KEY), conversation, "anthropic", "default", "claude-opus-4-6", "5m", size, behind,
        line_hashes(text, KEY), "resume", 0.0, expires_at)  # fmt: skip


def seen(data: bytes, *held: WarmFile, now: float = 100.0) -> tuple[InstructionEdit, ...]:
    return WarmFiles(KEY, held).edits(PATH, data, now)


def trimmed(text: bytes) -> list[bytes]:
    return [line.rstrip() for line in text.strip().split(b"\n")]


@given(before=LINES, after=LINES)
@example(before=b"a\nb", after=b"a")
@example(before=b"a", after=b"a\nb")
@example(before=b"a", after=b"")
def test_an_edit_is_found_exactly_where_a_line_differs(before: bytes, after: bytes):
    edits = seen(after, known(before))
    assert bool(edits) == (trimmed(before) != trimmed(after))
    for one in edits:
        assert 0 <= one.start <= one.end <= len(after)
        above = after[len(after) - len(after.lstrip()) : one.start].count(b"\n")
        assert trimmed(after)[:above] == trimmed(before)[:above]


@given(lines=st.lists(st.text("abcdef ", min_size=1, max_size=60), min_size=2, max_size=40), data=st.data())
def test_the_later_the_edit_the_less_is_lost(lines: list[str], data: st.DataObject):
    first, second = sorted(data.draw(st.integers(0, len(lines) - 1)) for _ in range(2))
    assume(all(line.strip() for line in lines))
    text = "\n".join(lines).encode()

    def lost(place: int) -> int:
        changed = [*lines[:place], lines[place] + "!", *lines[place + 1 :]]
        (one,) = seen("\n".join(changed).encode(), known(text))
        return one.lost

    assert lost(first) >= lost(second) >= 5000


def test_only_this_file_this_key_and_what_is_warm_count():
    held = known(b"a rule")
    assert seen(b"another", held)[0].lost > 5000
    assert seen(b"another", held, now=300.0) == ()
    assert WarmFiles(b"other", [held]).edits(PATH, b"another", 100.0) == ()
    assert WarmFiles(KEY, [held]).edits("/elsewhere/CLAUDE.md", b"another", 100.0) == ()


def test_what_a_conversation_took_up_replaces_what_it_had():
    files = WarmFiles(KEY, [known(b"old")])
    files.put(known(b"new"))
    assert files.edits(PATH, b"new", 100.0) == ()
    files.put(known(b"old", conversation="other"))
    assert len(files.edits(PATH, b"new", 100.0)) == 1
