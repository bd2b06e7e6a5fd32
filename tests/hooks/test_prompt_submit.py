"""`UserPromptSubmit` by the real client and helper: what is held back, once, and what goes through untouched."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from anchorline import __version__
from anchorline.cache.ledger import Entry
from anchorline.limits.kept import Knowledge, WindowKnowledge, write
from anchorline.limits.model import OTHER, Learnt, PastUse, Weights
from anchorline.limits.windows import Series
from anchorline.store import database, rows
from support.history import plan_limits
from support.hook_helpers import HookHelper
from support.session_logs import ClaudeLog

MODEL = "claude-opus-4-6"
HOUR = 3600.0
TERMINAL = {"CLAUDE_CODE_ENTRYPOINT": "cli", "CLAUDE_CODE_SESSION_ATTENDED": "1"}


class Conversation:
    """A session of Claude Code's in a home of its own, whose newest request was so long ago."""

    def __init__(
        self, home: Path, helper: HookHelper, ago_s: float = 2 * HOUR, tokens: int = 200_000
    ) -> None:
        self.home = home
        self.helper = helper
        self.file = home / "projects" / "-work" / "s1.jsonl"
        self.file.parent.mkdir(parents=True)
        self.log = ClaudeLog("s1", start=time.time() - ago_s)
        self.answer(tokens)

    def answer(self, tokens: int, write: int = 400) -> None:
        """Have a message sent and answered, after which so many tokens are cached."""
        self.log.user("Fix the parser.")
        self.log.answer(f"m{len(self.log.lines)}", model=MODEL, read=tokens - write, write=(0, write))
        self.file.write_bytes(self.log.bytes())

    def event(self, prompt: str = "And the lexer?", **more: Any) -> dict[str, Any]:
        """Return what Claude Code tells its hook."""
        own = {"session_id": "s1", "transcript_path": str(self.file), "cwd": str(self.home)}
        return own | {"hook_event_name": "UserPromptSubmit", "prompt": prompt} | more

    def submit(self, prompt: str = "And the lexer?", **more: Any) -> dict[str, Any]:
        """Return the hook's answer, {} for none."""
        return self.answered(self.event(prompt, **more))

    def answered(self, event: dict[str, Any], **variables: str) -> dict[str, Any]:
        """Return the hook's answer to an event."""
        env = TERMINAL | {"CLAUDE_CONFIG_DIR": str(self.home)} | variables
        text = self.helper.run("claude-code", event, **env)
        answer: dict[str, Any] = json.loads(text) if text else {}
        return answer


@pytest.fixture
def conversation(tmp_path: Path, helper: HookHelper) -> Conversation:
    return Conversation(tmp_path / "claude", helper)


def test_a_cold_prompt_is_held_back_once_until_it_goes_cold_again(conversation: Conversation):
    answer = conversation.submit()
    assert answer["decision"] == "block"
    assert "expired 60 minutes ago. Sending now writes 200,000 tokens anew for $2.00;" in answer["reason"]
    assert "from the cache they were $0.1000" in answer["reason"]
    assert conversation.submit() == {}
    assert conversation.submit("Something else") == {}
    conversation.answer(200_500)  # an hour and fifty-nine minutes ago
    assert conversation.submit()["decision"] == "block"
    assert conversation.submit() == {}
    assert conversation.helper.log == ""


def test_a_second_enter_goes_through_even_if_the_helper_has_died(conversation: Conversation):
    assert conversation.submit()["decision"] == "block"
    (process,) = conversation.helper.processes()
    process.kill()
    conversation.helper.wait_until_ended()
    assert conversation.submit() == {}


def test_where_it_cannot_be_remembered_nothing_is_held_back(conversation: Conversation):
    (conversation.helper.folder / "hooks.held-back.json").mkdir()
    assert conversation.submit() == {}
    assert conversation.submit() == {}
    assert "UserPromptSubmit failed" in conversation.helper.log


def test_what_was_remembered_may_be_damaged(conversation: Conversation):
    (conversation.helper.folder / "hooks.held-back.json").write_bytes(b'{"a": "b"}\xff')
    assert conversation.submit()["decision"] == "block"
    assert conversation.submit() == {}


@pytest.mark.parametrize(
    "prompt", ["/compact", "  /deploy staging", "!ls", "<task-notification>done", 7, None]
)
def test_commands_and_what_the_client_writes_go_through(conversation: Conversation, prompt: Any):
    assert conversation.submit(prompt) == {}


@pytest.mark.parametrize(
    "variables",
    [
        {"CLAUDE_CODE_ENTRYPOINT": "sdk-cli", "CLAUDE_CODE_SESSION_ATTENDED": "0"},
        {"CLAUDE_CODE_ENTRYPOINT": "sdk-py"},
        {"CLAUDE_CODE_ENTRYPOINT": ""},
        {"CLAUDE_CODE_SESSION_ATTENDED": "0"},
    ],
)
def test_where_nobody_can_press_enter_it_goes_through(conversation: Conversation, variables: dict[str, str]):
    assert conversation.answered(conversation.event(), **variables) == {}
    assert conversation.submit()["decision"] == "block"


@pytest.mark.parametrize("more", [{"source": "schedule_wakeup"}, {"source": "sdk"}, {"agent_id": "a"}])
def test_what_nobody_typed_goes_through(conversation: Conversation, more: dict[str, str]):
    assert conversation.submit(**more) == {}


def test_a_warm_one_goes_through(tmp_path: Path, helper: HookHelper):
    assert Conversation(tmp_path / "claude", helper, 3500).submit() == {}


def test_a_cheap_one_goes_through(tmp_path: Path, helper: HookHelper):
    conversation = Conversation(tmp_path / "claude", helper, tokens=40_000)
    assert conversation.submit() == {}
    (tmp_path / "home" / "anchorline.toml").write_text("[hooks]\nblock_usd = 0.4\n")
    assert conversation.submit()["decision"] == "block"
    conversation.answer(400_000)
    (tmp_path / "home" / "anchorline.toml").write_text("[hooks]\nblock_usd = 0\n")
    assert conversation.submit() == {}


def test_one_that_the_gateway_has_kept_warm_goes_through(conversation: Conversation):
    now = time.time()
    pinged = Entry("anthropic", "default", MODEL, b"p", 190_000, "1h", now, now + HOUR, conversation="s1")
    system = Entry("anthropic", "default", MODEL, b"q", 9000, "1h", now, now + HOUR, conversation="s1")
    other = Entry("anthropic", "default", MODEL, b"r", 190_000, "1h", now, now + HOUR, conversation="s2")
    handle = database.open_for_writing(database.locate())
    with database.writing(handle.database):
        rows.put_ledger(handle.database, [system, other])
    assert conversation.submit()["decision"] == "block"
    conversation.answer(200_000)
    with database.writing(handle.database):
        rows.put_ledger(handle.database, [pinged])
    database.close(handle.database)
    assert conversation.submit() == {}


def test_on_a_plan_it_says_what_that_takes_by_what_was_learnt_last(conversation: Conversation):
    plan_limits(30.0)
    kept = database.worked_out_file(database.locate(), "limits")
    assert "of your 5-hour window" not in conversation.submit()["reason"]
    assert not kept.exists(), "nothing is learnt while somebody waits"
    costs = Weights((4.0,) * 5, tuple((0.01,) * 5 for _ in range(5)))
    learnt = Learnt(
        {OTHER: costs}, own_weights=False, steps=9, rise=40, error=1, error_by_prices=1, elsewhere=0, noise=1
    )
    window = WindowKnowledge(Series("anthropic", "", "five_hour"), learnt, PastUse(0, 300, []), 9)
    write(database.locate(), Knowledge(__version__, "long ago", 0.0, [window]))
    conversation.answer(200_000)
    assert (
        "anew for $2.00, about 8.0% [7.7, 8.3] of your 5-hour window; from" in conversation.submit()["reason"]
    )


def test_only_the_agents_own_files_are_read(conversation: Conversation, tmp_path: Path):
    outside = tmp_path / "s1.jsonl"
    outside.write_bytes(conversation.file.read_bytes())
    link = conversation.file.with_name("link.jsonl")
    link.symlink_to(outside)
    circle = conversation.file.with_name("circle.jsonl")
    circle.symlink_to(circle)
    dots = conversation.file.parent / ".." / ".." / ".." / "s1.jsonl"
    for path in (
        outside,
        link,
        circle,
        dots,
        "s1.jsonl",
        "a\0.jsonl",
        "/dev/zero",
        conversation.home,
        None,
        7,
    ):
        value = str(path) if isinstance(path, Path) else path
        assert conversation.submit(transcript_path=value) == {}
    assert conversation.submit()["decision"] == "block"
    assert conversation.answered(conversation.event(), CLAUDE_CONFIG_DIR=str(tmp_path / "other")) == {}


@pytest.mark.parametrize(
    "event",
    [
        b"",
        b"{",
        b"null",
        b"[" * 100_000,
        b'{"hook_event_name":"UserPromptSubmit","prompt":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"hook_event_name":"UserPromptSubmit","prompt":"\xff"}',
        b'{"hook_event_name":["UserPromptSubmit"]}',
        b'{"hook_event_name":"UserPromptSubmit","session_id":7,"transcript_path":{},"cwd":[],"prompt":"x"}',
    ],
)
def test_hostile_events_are_silence(helper: HookHelper, event: bytes):
    assert helper.run("claude-code", event, **TERMINAL) == ""


def test_a_hundred_megabytes_go_through(conversation: Conversation):
    assert conversation.submit("x" * 100_000_000) == {}
    assert "more than" in conversation.helper.log


def test_a_damaged_database_lets_it_through(conversation: Conversation):
    database.locate().write_bytes(b"no database" * 1000)
    assert conversation.submit() == {}
    assert "UserPromptSubmit failed" in conversation.helper.log
