"""Settings: what is wrong is named, and its default is used; a project can only be stricter."""

from pathlib import Path

import pytest

from anchorline import config


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def test_without_files_everything_is_default(tmp_path: Path):
    assert config.load(tmp_path) == config.Loaded()


def test_the_project_wins_over_the_user_and_the_editor_over_both(tmp_path: Path):
    write(config.user_file(), '[refine]\nmax_hints = 2\nmodel_seconds = 8\n[cache]\nttl = "1h"\n')
    write(tmp_path / "p" / config.FILE_NAME, "[refine]\nmax_hints = 0\nmodel_seconds = 4\n")
    loaded = config.load(tmp_path / "p", {"refine": {"max_hints": 1}})
    assert (loaded.config.refine.max_hints, loaded.config.refine.model_seconds) == (1, 4.0)
    assert loaded.config.cache.ttl == "1h"
    assert loaded.origins["refine.max_hints"] == "editor settings"
    assert loaded.problems == ()


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[refine]\nmax_hints = 7\n", "refine.max_hints"),
        ('[cache]\nttl = "2h"\n', "cache.ttl"),
        ("[cache]\ntypo = 1\n", "cache.typo"),
        ("[nothing]\nx = 1\n", "nothing"),
        ("refine = 3\n", "refine"),
    ],
)
def test_a_value_that_does_not_fit_is_named_and_its_default_is_used(text: str, key: str):
    write(config.user_file(), text)
    loaded = config.load()
    assert [(problem.key, problem.source) for problem in loaded.problems] == [(key, str(config.user_file()))]
    assert loaded.config == config.Config()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[store]\ntext = "fulll"\n', 'should be one of "off" | "redacted" | "full"; "off" is used'),
        ("[gateway]\nport = 99999\n", "should be an integer from 1 to 65535; 8917 is used"),
        ("[engine]\ndeadline_seconds = 0\n", "should be a number over 0 to 600; 30.0 is used"),
        ("[route]\nsticky = 1\n", "should be true or false; true is used"),
        ('[route]\nallow = "x"\n', "should be a list of strings; [] is used"),
        ("[files]\nmodels = 3\n", 'should be a string; "" is used'),
    ],
)
def test_a_value_that_does_not_fit_is_told_what_would(text: str, said: str):
    write(config.user_file(), text)
    (problem,) = config.load().problems
    assert problem.message == said


def test_every_setting_says_what_it_takes():
    for key in config.documented():
        section, name = key.name.split(".")
        (problem,) = config.merge(config.Loaded(), {section: {name: {}}}, source="", project=False).problems
        assert problem.message.startswith("should be ")


def test_a_settings_file_that_is_a_folder_is_said_once():
    config.user_file().mkdir(parents=True)
    (problem,) = config.load().problems
    assert problem.message.startswith("can't be read, its settings are ignored: ")
    assert "Errno" not in problem.message


def test_a_file_that_is_no_toml_is_named(tmp_path: Path):
    write(config.user_file(), "[route\n")
    (problem,) = config.load().problems
    assert str(config.user_file()) in str(problem)


@pytest.mark.parametrize(
    ("user", "project", "kept"),
    [
        ("off", "full", "off"),
        ("redacted", "full", "redacted"),
        ("full", "off", "off"),
        ("full", "redacted", "redacted"),
    ],
)
def test_a_project_can_only_make_privacy_stricter(tmp_path: Path, user: str, project: str, kept: str):
    write(config.user_file(), f'[store]\ntext = "{user}"\n')
    write(tmp_path / "p" / config.FILE_NAME, f'[store]\ntext = "{project}"\n')
    assert config.load(tmp_path / "p").config.store.text == kept


@pytest.mark.parametrize(
    "asked",
    [
        '[route]\npin = "claude-fable-5"\n',
        '[route]\nmodel = "claude-fable-5"\n',
        '[route]\nallow = ["claude-fable-5"]\n',
        "[route]\nsuccess_usd = 1000\n",
        '[cache]\nttl = "1h"\n',
        '[cache]\nanchors = "replace"\n',
        "[engine]\nconversation_megabytes = 65536\n",
        "[engine]\nidle_seconds = 0\n",
        "[engine]\ndeadline_seconds = 600\n",
        "[refine]\nmodel_seconds = 120\n",
        '[log]\nlevel = "debug"\n',
    ],
)
def test_a_project_makes_nothing_dearer_larger_or_louder(tmp_path: Path, asked: str):
    write(config.user_file(), '[cache]\nanchors = "extend"\n')
    write(tmp_path / "p" / config.FILE_NAME, asked)
    loaded = config.load(tmp_path / "p")
    assert loaded.config == config.load().config
    assert len(loaded.problems) == 1


@pytest.mark.parametrize(
    "asked",
    [
        '[cache]\nanchors = "respect"\n',
        "[engine]\nidle_seconds = 10\n",
        "[engine]\nenabled = false\n",
        "[refine]\nmax_hints = 0\n",
        "[route]\nenabled = false\n",
    ],
)
def test_a_project_may_ask_for_less(tmp_path: Path, asked: str):
    write(tmp_path / "p" / config.FILE_NAME, asked)
    loaded = config.load(tmp_path / "p")
    assert loaded.config != config.Config()
    assert loaded.problems == ()


@pytest.mark.parametrize("key", sorted(config.USER_ONLY))
def test_a_project_names_no_places_of_the_users(tmp_path: Path, key: str):
    section, name = key.split(".")
    default = getattr(getattr(config.Config(), section), name)
    chosen = {"gateway.mode": '"anchors"', "gateway.plans": '"change"', "answers.reuse": '"near"'}.get(
        key, '"elsewhere"'
    )
    other = (
        "true" if default is False else repr(type(default)(1)) if isinstance(default, int | float) else chosen
    )
    other = '"keyring"' if name.endswith("_key") else other
    write(tmp_path / "p" / config.FILE_NAME, f"[{section}]\n{name} = {other}\n")
    loaded = config.load(tmp_path / "p")
    assert loaded.config == config.Config()
    assert [problem.key for problem in loaded.problems] == [key]
    write(config.user_file(), f"[{section}]\n{name} = {other}\n")
    assert str(getattr(getattr(config.load().config, section), name)).lower() == other.strip('"')


def test_every_key_is_described():
    assert all(key.description and key.type for key in config.documented())


@pytest.mark.parametrize(
    "text", ["a." * 600 + "b = 1\n", "# a comment\n" * 3000], ids=["a long key", "a long file"]
)
def test_a_project_file_of_an_odd_size_is_refused_and_the_users_own_is_not(tmp_path: Path, text: str):
    (tmp_path / config.FILE_NAME).write_text(text)
    config.user_file().write_text("[refine]\nmax_hints = 1\n" + "# a comment\n" * 3000)
    loaded = config.load(tmp_path)
    assert loaded.config == config.Config(refine=config.Refine(max_hints=1))
    assert ["it has more than" in problem.message for problem in loaded.problems] == [True]


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="a device of POSIX")
def test_a_project_file_that_is_a_device_is_refused(tmp_path: Path):
    (tmp_path / config.FILE_NAME).symlink_to("/dev/null")  # /dev/zero has no end, and a pipe none to wait for
    (problem,) = config.load(tmp_path).problems
    assert "not a plain file" in problem.message
