"""The VS Code extension says about the server what the server says itself."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from anchorline import config
from anchorline.lsp import protocol

CLIENT = Path(__file__).parents[2] / "client-vscode"


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", CLIENT / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_is_generated_is_what_lies_there(generate: ModuleType):
    for path, text in generate.files().items():
        assert path.read_text("utf-8") == text, f"python client-vscode/generate.py writes {path.name}"


def declared_settings(package: dict) -> dict:
    return {
        name: setting
        for group in package["contributes"]["configuration"]
        for name, setting in group["properties"].items()
    }


def test_settings_are_in_groups_with_titles_of_their_own():
    groups = json.loads((CLIENT / "package.json").read_text("utf-8"))["contributes"]["configuration"]
    titles = [group["title"] for group in groups]
    assert len(set(titles)) == len(titles) > 5
    assert [group["order"] for group in groups] == list(range(len(groups)))
    assert all(group["properties"] for group in groups)


def test_every_setting_of_the_server_is_one_of_the_extension(generate: ModuleType):
    settings = declared_settings(json.loads((CLIENT / "package.json").read_text("utf-8")))
    for key in config.of_editors():
        default = config.merge(config.Loaded(), {}, source="", project=False).config
        section, name = key.name.split(".")
        shown = settings[f"anchorline.{key.name}"]
        value = getattr(getattr(default, section), name)
        assert shown["default"] == (list(value) if isinstance(value, tuple) else value)
        given = config.merge(config.Loaded(), {section: {name: shown["default"]}}, source="", project=False)
        assert given.problems == ()


def test_a_workspace_sets_nothing_that_only_the_user_may(generate: ModuleType):
    package = json.loads((CLIENT / "package.json").read_text("utf-8"))
    settings = declared_settings(package)
    restricted = package["capabilities"]["untrustedWorkspaces"]["restrictedConfigurations"]
    of_editors = {key.name for key in config.of_editors()}
    for name in (config.USER_ONLY | config.STRICTER_ONLY) & of_editors:
        assert settings[f"anchorline.{name}"]["scope"] == "machine"
    assert {"anchorline.path", "anchorline.interpreter", "anchorline.importStrategy"} <= set(restricted)


def test_every_request_has_its_types(generate: ModuleType):
    declared = generate.declarations()
    for method, kind in protocol.PARAMS.items():
        assert f'"{method}": {{ params: {kind.__name__};' in declared
    assert "any;" not in declared
