"""What a real repository offers a draft: facts that stand there, nothing that is secret, ignored or elsewhere."""

import subprocess
from pathlib import Path

import pytest

from anchorline.ground.propose import propose
from anchorline.ground.retrieval import Recent
from anchorline.index.folder import FolderSnapshot
from anchorline.index.workspace_index import WorkspaceIndex
from anchorline.plan import Addition
from anchorline.refine.context_lines import with_additions, without_additions

DRAFT = "The parcel tracker in locate_parcel returns the position of the wrong carrier: it should ask the newest one."
PARCEL = (
    "def locate_parcel(parcel):\n    # the position of the carrier\n    return parcel.carrier.position()\n"
)
FILES = {
    "pyproject.toml": "[tool.pytest.ini_options]\n",
    ".gitignore": "build/\n",
    "shop/parcel.py": PARCEL,
    "tests/test_parcel.py": "from shop.parcel import locate_parcel\n",
    "build/parcel.py": PARCEL,
    ".env": "PARCEL_CARRIER=tracker position\n",
    "secrets.json": '{"parcel": "carrier position tracker"}',
} | {f"shop/widgets/widget{number}.py": f"def draw{number}():\n    return {number}\n" for number in range(30)}


@pytest.fixture
def index(tmp_path: Path) -> WorkspaceIndex:
    root = tmp_path / "shop"
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, "utf-8")
    (tmp_path / "outside.py").write_text(PARCEL, "utf-8")
    (root / "shop" / "parcel_link.py").symlink_to(tmp_path / "outside.py")
    for arguments in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "all")):
        identity = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
        subprocess.run(["git", "-C", str(root), *identity, *arguments], check=True, capture_output=True)
    made = WorkspaceIndex(FolderSnapshot(root))
    made.refresh()
    return made


def offered(index: WorkspaceIndex, draft: str) -> tuple[Addition, ...]:
    return propose(index, draft, Recent(("shop/parcel.py",), "edits"), now=1_790_000_000.0)


def test_a_draft_gets_what_the_repository_has_and_gives_it_back(index: WorkspaceIndex) -> None:
    given = offered(index, DRAFT)
    lines = [each.text for each in given]
    assert "Context: `shop/parcel.py`" in lines
    assert "Context: `locate_parcel` in `shop/parcel.py:1`" in lines
    assert lines[-1] == "Check: `pytest tests/test_parcel.py`"
    accepted = with_additions(DRAFT, given)
    assert offered(index, accepted) == ()
    assert without_additions(accepted, reversed(given)) == DRAFT


def test_nothing_that_is_secret_ignored_or_elsewhere(index: WorkspaceIndex) -> None:
    text = with_additions(DRAFT, offered(index, DRAFT))
    assert not [name for name in (".env", "secrets", "build/", "outside", "link") if name in text]


def test_an_answer_gets_nothing(index: WorkspaceIndex) -> None:
    assert offered(index, "yes, continue") == ()


def test_another_prompt_is_no_place_that_a_prompt_is_about(index: WorkspaceIndex, tmp_path: Path) -> None:
    prompts = ("locate_parcel.prompt.md", "locate_parcel.request.json")
    for name in prompts:
        (tmp_path / "shop" / name).write_text(f"{DRAFT} Say which parcel tracker it asked.", "utf-8")
    index.refresh()
    assert set(prompts) <= set(index.paths)
    given = propose(index, DRAFT, Recent((*prompts, "shop/parcel.py"), "edits"), now=1_790_000_000.0)
    assert given
    assert not [each for each in given if each.path in prompts]


def test_a_handful_of_files_needs_no_search(tmp_path: Path) -> None:
    for name in ("parcel.py", "carrier.py", "notes.md"):
        (tmp_path / name).write_text(PARCEL, "utf-8")
    handful = WorkspaceIndex(FolderSnapshot(tmp_path))
    handful.refresh()
    assert propose(handful, DRAFT, Recent(("parcel.py",), "edits"), now=1_790_000_000.0) == ()
