"""What is retrieved for a draft in a small workspace with a history, as its developer would expect it."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from anchorline.ground import features, ranking
from anchorline.ground import recent as recents
from anchorline.ground.retrieval import NO_RECENT, Recent
from anchorline.ground.retrieve import retrieve
from anchorline.index.folder import FolderSnapshot
from anchorline.index.history import Commit, History
from anchorline.index.workspace_index import WorkspaceIndex

FILES = {
    "README.md": "# Shop\n\nA small shop: orders, invoices, parcels.\n",
    "shop/__init__.py": "",
    "shop/invoice.py": "from shop.currency import convert\n\n\ndef total_with_discount(lines):\n    return convert(sum(lines))\n",
    "shop/currency.py": "RATES = {}\n\n\ndef convert(amount, to='EUR'):\n    raise LookupError('no exchange rate for today')\n",
    "shop/parcel.py": "class ParcelTracker:\n    def locate(self, parcel):\n        return parcel.carrier.position()\n",
    "shop/mail.py": "def send_reminder(customer):\n    customer.mailbox.append('please pay')\n",
    "tests/test_invoice.py": "from shop.invoice import total_with_discount\n\n\ndef test_total():\n    assert total_with_discount([1])\n",
    "tests/test_parcel.py": "from shop.parcel import ParcelTracker\n\n\ndef test_locate():\n    assert ParcelTracker()\n",
    ".env": "EXCHANGE_RATE_TOKEN=abcdef1234567890\n",
    "deploy/id_rsa": "exchange rate convert invoice discount\n",
} | {
    f"shop/widgets/widget{number}.py": f"def draw{number}():\n    return 'box {number}'\n"
    for number in range(30)
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    git(folder, "init", "-q")
    git(folder, "add", "-f", "-A")
    git(folder, "commit", "-qm", "all")
    for number in range(4):
        for name in ("shop/invoice.py", "tests/test_invoice.py"):
            with (folder / name).open("a", encoding="utf-8") as file:
                file.write(f"# {number}\n")
        git(folder, "commit", "-qam", "invoice")
    return folder


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


@pytest.fixture(scope="module")
def index(root: Path) -> WorkspaceIndex:
    made = WorkspaceIndex(FolderSnapshot(root))
    made.refresh()
    return made


def best(index: WorkspaceIndex, draft: str, recent: Recent | tuple[str, ...] = NO_RECENT) -> list[str]:
    return [file.path for file in retrieve(index, draft, recent).files]


def test_the_file_that_a_draft_names_is_the_first(index: WorkspaceIndex):
    first = retrieve(index, "please rename the tracker in shop/parcel.py").files[0]
    assert first.path == "shop/parcel.py"
    assert first.evidence.named


def test_the_file_that_defines_what_a_draft_names_is_the_first(index: WorkspaceIndex):
    first = retrieve(index, "ParcelTracker should remember the last position").files[0]
    assert first.path == "shop/parcel.py"
    match = first.evidence.symbols[0]
    assert (match.name, match.line, match.exact) == ("ParcelTracker", 1, True)


def test_an_error_message_leads_to_the_file_that_raises_it(index: WorkspaceIndex):
    first = retrieve(
        index, 'the nightly job stops with "no exchange rate for today", do something about it'
    ).files[0]
    assert first.path == "shop/currency.py"
    assert first.evidence.literal == "no exchange rate for today"


def test_a_trace_names_the_file_and_the_line(index: WorkspaceIndex):
    trace = (
        'Traceback:\n  File "/home/me/shop/shop/mail.py", line 2, in send_reminder\nAttributeError: mailbox'
    )
    files = {file.path: file for file in retrieve(index, trace).files}
    assert next(iter(files)) == "shop/mail.py"
    named = retrieve(index, 'File "shop/mail.py", line 2, in send_reminder').files[0]
    assert (named.path, named.evidence.trace_line) == ("shop/mail.py", 2)


def test_what_was_edited_last_comes_first_where_the_draft_says_nothing(index: WorkspaceIndex):
    recent = Recent(("shop/mail.py", "shop/parcel.py"), "edits")
    ranked = retrieve(index, "still not right, try it again", recent).files
    assert ranked[0].path in recent.paths
    assert ranked[0].evidence.recent is not None
    assert ranked[0].evidence.recent_origin == "edits"


def test_a_test_is_near_the_source_that_was_edited(index: WorkspaceIndex):
    recent = Recent(("shop/invoice.py",), "edits")
    files = {file.path: file for file in retrieve(index, "now cover it with tests as well", recent).files}
    assert "tests/test_invoice.py" in list(files)[:4]
    evidence = files["tests/test_invoice.py"].evidence
    assert evidence.tests == "shop/invoice.py"
    assert evidence.changed_with is not None
    assert evidence.changed_with.path == "shop/invoice.py"


def test_nothing_is_shown_for_a_draft_that_says_nothing(index: WorkspaceIndex):
    for draft in ("", "  \n", "yes", "ok go on", "hm why", "danke, weiter"):
        found = retrieve(index, draft)
        assert all(file.probability < found.threshold for file in found.files)


def test_files_with_secrets_are_never_retrieved(index: WorkspaceIndex):
    ranked = best(
        index,
        "the exchange rate token in .env and the key deploy/id_rsa: convert invoice discount",
        ("deploy/id_rsa", ".env"),
    )
    assert ranked
    assert not {".env", "deploy/id_rsa"} & set(ranked)


def test_the_same_question_has_the_same_answer(index: WorkspaceIndex, root: Path):
    other = WorkspaceIndex(FolderSnapshot(root))
    other.refresh()
    for draft in ("discount of an invoice is wrong", "convert(amount) fails for EUR"):
        recent = Recent(("shop/mail.py",), "edits")
        assert retrieve(index, draft, recent) == retrieve(other, draft, recent)


@pytest.mark.parametrize(
    "draft",
    [
        "invoice " * 100_000,
        "x" * 300_000,
        "../../etc/passwd \\\\server\\share\\a.py C:\\x.py ./././.py ~/.ssh/id_rsa.pub",
        "\x00\x01 \ud7ff \U0001f600 `" + "`" * 5000,
        '"' * 10_000 + "Error" * 2000,
        "/".join(["a"] * 5000) + "/mail.py",
        "日本語のテスト、請求書を直して",
    ],
)
def test_a_hostile_draft_is_answered(index: WorkspaceIndex, draft: str):
    for file in retrieve(index, draft, ("\x00", "../x", "/etc/passwd", "shop/mail.py")).files:
        assert file.path in FILES
        assert 0 <= file.probability <= 1


def test_a_workspace_without_files_or_history_has_an_answer(tmp_path: Path):
    empty = WorkspaceIndex(FolderSnapshot(tmp_path))
    empty.refresh()
    assert retrieve(empty, "fix the invoice").files == ()
    (tmp_path / "invoice.py").write_text("def total():\n    return 1\n", "utf-8")
    empty.refresh()
    assert best(empty, "fix the invoice") == ["invoice.py"]


def test_probabilities_fall_with_the_place(index: WorkspaceIndex):
    chances = [file.probability for file in retrieve(index, "the discount of an invoice").files]
    assert chances == sorted(chances, reverse=True)
    assert sum(chances) < 8


def test_the_shipped_ranking_is_of_these_features():
    model = ranking.shipped()
    assert model.features == features.NAMES
    assert len(model.linear.weights) == len(features.NAMES) == len(set(features.NAMES))
    assert 0.3 <= model.threshold <= 0.95
    none = np.zeros((0, len(features.NAMES)), np.float32)
    assert len(model.probabilities(none)) == 0


def test_trees_send_to_the_right_what_is_above_the_threshold():
    trees = ranking.Trees(2, ((0, 1, -1),), ((0.5, 2.0, 0.0),), ((1.0, 2.0, 3.0, 4.0),))
    rows = np.zeros((3, 2), np.float32)
    rows[1] = (0.0, 2.5)
    rows[2] = (0.6, 9.0)
    assert ranking.tree_scores(trees, rows).tolist() == [1.0, 2.0, 3.0]


def test_recent_files_are_those_of_the_most_trusted_source_first():
    history = History("h", (Commit("1", 5, ("c.py", "a.py")), Commit("2", 4, ("d.py",))))
    recent = recents.recent(("a.py",), ("b.py", "a.py"), ("../out.py", "/x.py", "e.py"), history)
    assert recent == Recent(("a.py", "b.py", "e.py"), "edits")
    assert recents.recent(history=history) == Recent(("c.py", "a.py", "d.py"), "commits")
    assert recents.recent() == Recent()


def test_files_that_were_written_lately_are_edits_unless_they_are_many_at_once(tmp_path: Path):
    now = 1_790_000_000.0
    ages = {"new.py": 5, "older.py": 3000, "yesterday.py": 100_000, "later.py": -50}
    ages |= {f"switched{number}.py": 600 + number for number in range(recents.BURST)}
    for name, age in ages.items():
        (tmp_path / name).write_text("", "utf-8")
        os.utime(tmp_path / name, (now - age, now - age))
    assert recents.written(tmp_path, [*ages, "gone.py", "nul\0"], now) == ("new.py", "older.py")
    assert recents.written(tmp_path / "none", ages, now) == ()
