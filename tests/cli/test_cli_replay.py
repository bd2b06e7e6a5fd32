"""`anchorline replay`: what other policies would have cost on one's own history."""

import json
import time
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from anchorline.cli.main import cli
from anchorline.outcome import Usage
from anchorline.replay.comparison import Comparison, compare
from anchorline.replay.history import History
from anchorline.replay.policies import POLICIES
from anchorline.route.target import Targets
from anchorline.route.target import load as load_targets
from anchorline.sessions.request import RecordedRequest
from anchorline.store.database import locate, worked_out_file
from support.recorded import data_folder
from support.recorded_usage import billed
from support.session_logs import ClaudeLog


def invoke(*words: str, code: int = 0) -> str:
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == code, done.output
    return done.stdout if code == 0 else done.output


def history(folder: Path, days_ago: tuple[float, ...] = (1.0, 40.0)) -> None:
    """Two requests 20 minutes apart in each session, cached for an hour."""
    for number, days in enumerate(days_ago):
        log = ClaudeLog(f"s{number}", time.time() - days * 86_400)
        log.user("first")
        log.answer(f"a{number}", read=20_000)
        log.start += 1200
        log.user("second")
        log.answer(f"b{number}", read=20_500)
        (folder / f"{number}.jsonl").write_bytes(log.bytes())
    invoke("import", "claude-code", str(folder), "--json")


def history_of(request: RecordedRequest, targets: Targets) -> History:
    return History([billed(request)], targets)


def test_a_request_of_a_batch_is_priced_as_one_under_every_policy():
    usage = Usage(input=10, write=20_000, write_1h=20_000)

    def compared(tier: str) -> Comparison:
        request = RecordedRequest(
            id="a", session="s", chain="main", branch=0, model="claude-fable-5", sent_at=1_790_000_000.0, first_at=None,
            trigger="user", switched=False, blocks=1, prefix=b"", input=10, read=0, write_5m=0, write_1h=20_000,
            output=0, ttl="1h", usage=msgspec.structs.replace(usage, tier=tier),
        )  # fmt: skip
        targets = load_targets()
        return compare(history_of(request, targets), ["recorded", "all-1h"], targets)

    ordinary, batch = compared(""), compared("batch")
    assert batch.billed_usd == pytest.approx(ordinary.billed_usd / 2)
    assert batch.uncached_usd == pytest.approx(ordinary.uncached_usd / 2)
    assert [one.usd for one in batch.policies] == pytest.approx([one.usd / 2 for one in ordinary.policies])
    assert compared("unheard-of").left_out.unpriced == 1


def test_without_a_history_it_says_how_to_get_one():
    assert "anchorline import claude-code" in invoke("replay")
    assert json.loads(invoke("replay", "--json"))["requests"] == 0


def test_it_says_what_was_billed_and_what_each_policy_would_have_cost(tmp_path: Path):
    history(tmp_path)
    found = json.loads(invoke("replay", "--json"))
    assert (found["requests"], found["sessions"]) == (4, 2)
    billed = 0.1 * (20_000 + 20_500) + 2 * (100 * 1.25 + 400 * 2) + 2 * 3
    assert found["billed_usd"] == pytest.approx(2 * billed * 5e-6, rel=1e-4)
    lines = {line["policy"]: line for line in found["policies"]}
    assert list(lines) == list(POLICIES)
    for line in lines.values():
        parts = sum(line[part] for part in ("read_usd", "write_usd", "plain_usd", "ping_usd"))
        assert (
            line["usd"]
            == pytest.approx(parts, abs=1e-5)
            == pytest.approx(sum(line["days"].values()), abs=1e-5)
        )
        assert line["saved"]["low"] <= line["saved"]["value"] <= line["saved"]["high"]
    # The second request came after 20 minutes: five minutes lose the prefix, an hour keeps it.
    assert lines["cline"]["usd"] > lines["all-1h"]["usd"] >= lines["clairvoyant"]["usd"]
    assert lines["recorded"]["saved"]["value"] == 0
    table = invoke("replay")
    assert "4 requests of 2 sessions" in table
    assert "clairvoyant" in table


def test_a_narrow_terminal_has_one_line_for_each_policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    history(tmp_path)
    for width in (60, 80):
        monkeypatch.setenv("COLUMNS", str(width))
        table, _, rest = invoke("replay").partition("\n\n")
        lines = table.splitlines()[1 : len(POLICIES) + 1]
        assert [line.split()[0] for line in lines] == list(POLICIES)
        assert all(len(line) <= width for line in lines)
        assert "--help" in table
        assert "Billed for input" in rest
    assert POLICIES["anchorline"].does in invoke("replay", "--help")


def test_a_simulation_far_from_the_bill_says_so(tmp_path: Path):
    log = ClaudeLog("s", time.time() - 86_400)
    log.user("first")
    log.answer("a", read=20_000)
    log.start += 60
    log.user("second")
    log.answer("b", read=20_500)
    (tmp_path / "s.jsonl").write_bytes(log.bytes())
    invoke("import", "claude-code", str(tmp_path), "--json")
    found = json.loads(invoke("replay", "--json"))
    assert found["recorded_usd"] > 1.1 * found["billed_usd"]  # nobody wrote what the first request read
    page = tmp_path / "replay.html"
    for shown in (invoke("replay", "--policy", "zed", "--html", str(page)), page.read_text("utf-8")):
        assert "above what was billed" in shown
        assert "may not carry" in shown


def test_what_was_replayed_is_kept_and_purged_with_the_rest(tmp_path: Path):
    history(tmp_path)
    first = invoke("replay", "--json")
    kept = worked_out_file(locate(), "replay")
    assert kept.exists()
    assert invoke("replay", "--json") == first
    invoke("store", "purge", "--all", "--yes")
    assert not kept.exists()


def test_policies_and_time_can_be_chosen(tmp_path: Path):
    history(tmp_path)
    found = json.loads(invoke("replay", "--policy", "zed,anchorline", "--since", "30d", "--json"))
    assert [line["policy"] for line in found["policies"]] == ["zed", "anchorline"]
    assert (found["requests"], found["sessions"]) == (2, 1)
    assert "none of recorded, zed" in invoke("replay", "--policy", "best", code=2)
    assert "neither an age" in invoke("replay", "--since", "monday", code=2)
    assert json.loads(invoke("replay", "--since", "99999w", "--json"))["requests"] > 0


class Page(HTMLParser):
    """Collects what would load something, and the text."""

    def __init__(self) -> None:
        super().__init__()
        self.outside: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.outside += [
            f"{tag} {name}" for name, _ in attrs if name in ("src", "href") or name.startswith("on")
        ]
        if tag == "script":
            self.outside.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("command", ["replay", "report"])
def test_a_time_without_requests_is_not_an_empty_history(tmp_path: Path, command: str):
    history(tmp_path)
    said = invoke(command, "--since", "2200-01-01")
    assert "Nothing is recorded since 2200-01-01 00:00" in said
    assert "anchorline import" not in said


def test_the_page_needs_nothing_from_outside(tmp_path: Path):
    history(tmp_path, (1.0, 3.0))
    target = tmp_path / "replay.html"
    invoke("replay", "--html", str(target))
    page = Page()
    page.feed(target.read_text("utf-8"))
    assert page.outside == []
    assert "clairvoyant" in page.text
    assert "From day to day" in page.text


def test_a_page_that_cannot_be_written_is_named(tmp_path: Path):
    history(tmp_path)
    target = tmp_path / "none" / "replay.html"
    assert str(target) in invoke("replay", "--html", str(target), code=2)


@pytest.mark.skipif(data_folder() is None, reason="the development data is not here (ANCHORLINE_TEST_DATA)")
def test_on_real_sessions_the_simulation_comes_near_the_bill_and_ours_saves():
    folder = data_folder() / "transcripts" / "claude-code"
    CliRunner().invoke(cli, ["import", "claude-code", str(folder), "--json"])
    found = json.loads(invoke("replay", "--policy", "recorded,anchorline,cline,clairvoyant", "--json"))
    usd = {line["policy"]: line["usd"] for line in found["policies"]}
    assert usd["recorded"] == pytest.approx(found["billed_usd"], rel=0.06)
    assert usd["clairvoyant"] < usd["anchorline"] < usd["recorded"] < usd["cline"]
