"""The table of agents: what it names is there, and documented."""

import re
from pathlib import Path

import pytest

from anchorline.sessions import agents, session_files
from anchorline.sessions.agents import AGENTS
from anchorline.sessions.facts import Facts

IMPORTING = Path(__file__).parents[2] / "docs" / "how-to" / "importing.md"


@pytest.mark.parametrize("name", AGENTS)
def test_an_agent_has_a_reader_of_its_own(name: str):
    reader = agents.reader(name)(Facts(b"", names=False), Path("a.jsonl"))
    for method in ("take", "requests", "state", "resume"):
        assert callable(getattr(reader, method))
    assert reader.problem is None


@pytest.mark.parametrize("name", AGENTS)
def test_an_agents_folders_are_where_its_variable_says(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    agent = AGENTS[name]
    monkeypatch.setenv(agent.variable, str(tmp_path))
    assert agent.homes()
    assert all(home.is_relative_to(tmp_path) for home in agent.homes())
    assert session_files.files(name, agent.homes()) == []


@pytest.mark.parametrize("name", AGENTS)
def test_the_guide_says_what_is_read_of_an_agent(name: str):
    rows = re.findall(r"^\| ([^|]+?) \|", IMPORTING.read_text("utf-8"), re.MULTILINE)
    assert AGENTS[name].title in rows


def test_what_is_no_agent_is_called_by_its_name():
    assert agents.title("codex") == "Codex"
    assert agents.title("gateway") == "gateway"


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("a.jsonl", "lines"),
        ("a.jsonl.zst", "lines"),
        ("session", "lines"),
        ("a.json", "document"),
        ("a.json.gz", "document"),
        ("agent.db", "database"),
    ],
)
def test_a_files_name_says_how_it_is_read(name: str, form: str):
    assert session_files.form(Path(name)) == form
