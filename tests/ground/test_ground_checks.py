"""The command that runs the tests of files: from what a workspace is set up for, and none where that is in doubt."""

import json
from collections.abc import Collection, Mapping

import pytest

from anchorline.ground.checks import check

NO_HISTORY: dict[str, float] = {}


def command(
    workspace: Mapping[str, str], *files: str, together: Mapping[str, Mapping[str, float]] | None = None
) -> str | None:
    def changed(paths: Collection[str]) -> Mapping[str, float]:
        return (together or {}).get(next(iter(paths)), NO_HISTORY)

    def read(path: str) -> bytes | None:
        return workspace[path].encode() if path in workspace else None

    result = check(files, workspace.keys(), read, changed)
    return result.command if result is not None else None


def of(*paths: str) -> dict[str, str]:
    return dict.fromkeys(paths, "")


PYTHON = {
    "pyproject.toml": "[tool.pytest.ini_options]\n",
    **of("src/config.py", "tests/test_config.py", "src/cli.py"),
}


def test_a_python_file_has_the_tests_of_its_name() -> None:
    assert command(PYTHON, "src/config.py") == "pytest tests/test_config.py"
    assert command(PYTHON, "tests/test_config.py") == "pytest tests/test_config.py"


def test_files_of_one_language_share_a_command_and_tests_are_named_once() -> None:
    workspace = {**PYTHON, "tests/test_cli.py": ""}
    assert command(workspace, "src/cli.py", "src/config.py", "tests/test_cli.py") == (
        "pytest tests/test_cli.py tests/test_config.py"
    )


def test_without_tests_or_a_runner_there_is_no_command() -> None:
    assert command(PYTHON, "src/cli.py") is None
    assert command(of("src/config.py", "tests/test_config.py"), "src/config.py") is None
    assert command(PYTHON, "README.md") is None
    assert command(PYTHON) is None


def test_two_tests_that_fit_as_well_are_none() -> None:
    workspace = {"conftest.py": "", **of("a/utils.py", "b/tests/test_utils.py", "c/tests/test_utils.py")}
    assert command(workspace, "a/utils.py") is None


def test_the_nearest_test_of_a_name_is_taken() -> None:
    workspace = {"conftest.py": "", **of("a/utils.py", "a/tests/test_utils.py", "c/tests/test_utils.py")}
    assert command(workspace, "a/utils.py") == "pytest a/tests/test_utils.py"


def test_a_test_of_another_name_counts_where_it_was_committed_together_and_names_the_file() -> None:
    workspace = {**PYTHON, "tests/test_main.py": "from cli import run", "tests/test_other.py": "import os"}
    together = {"src/cli.py": {"tests/test_other.py": 3.0, "tests/test_main.py": 1.0}}
    assert command(workspace, "src/cli.py", together=together) == "pytest tests/test_main.py"
    once = {"src/cli.py": {"tests/test_main.py": 0.4}}
    assert command(workspace, "src/cli.py", together=once) is None


def test_go_tests_packages_from_the_folder_of_their_module() -> None:
    root = of(
        "go.mod", "main.go", "main_test.go", "cmd/serve/serve.go", "cmd/serve/serve_test.go", "cmd/no.go"
    )
    assert command(root, "cmd/serve/serve.go") == "go test ./cmd/serve/..."
    assert command(root, "main.go", "cmd/serve/serve.go") == "go test . ./cmd/serve/..."
    assert command(root, "cmd/no.go") is None
    below = of("tool/go.mod", "tool/x/x.go", "tool/x/x_test.go")
    assert command(below, "tool/x/x.go") == "cd tool && go test ./x/..."
    assert command(of("x/x.go", "x/x_test.go"), "x/x.go") is None


def test_cargo_tests_the_module_or_the_integration_test() -> None:
    crate = {
        "Cargo.toml": '[package]\nname = "tool"\n',
        "src/main.rs": "#[cfg(test)]\nmod tests {}",
        "src/config/env.rs": "#[cfg(test)]\nmod tests {}",
        "src/plain.rs": "",
        "tests/cli.rs": "",
    }
    assert command(crate, "src/config/env.rs") == "cargo test config::env::"
    assert command(crate, "src/main.rs") == "cargo test"
    assert command(crate, "tests/cli.rs") == "cargo test --test cli"
    assert command(crate, "src/plain.rs") is None
    members = {"Cargo.toml": "[workspace]\nmembers = ['crates/*']\n"}
    members |= {f"crates/core/{path}": text for path, text in crate.items()}
    assert command(members, "crates/core/src/config/env.rs") == "cargo test -p tool config::env::"
    assert command(crate | {"Cargo.toml": "[package\n"}, "src/main.rs") is None


@pytest.mark.parametrize(
    ("manifest", "expected"),
    [
        ({"scripts": {"test": "vitest"}}, "npx vitest run src/a.test.ts"),
        ({"devDependencies": {"jest": "29"}}, "npx jest src/a.test.ts"),
        ({"scripts": {"test": "bun test"}}, "bun test src/a.test.ts"),
        ({"scripts": {"test": "jest"}, "devDependencies": {"vitest": "1"}}, "npx jest src/a.test.ts"),
        (
            {"scripts": {"test": "vitest"}, "packageManager": "pnpm@9.1.0"},
            "pnpm exec vitest run src/a.test.ts",
        ),
        ({"devDependencies": {"jest": "29", "vitest": "1"}}, None),
        ({"scripts": {"test": "make"}}, None),
        ({"scripts": "vitest"}, None),
        ([], None),
    ],
)
def test_scripts_run_in_the_runner_that_their_package_names(manifest: object, expected: str | None) -> None:
    workspace = {"package.json": json.dumps(manifest), **of("src/a.ts", "src/a.test.ts")}
    assert command(workspace, "src/a.ts") == expected


def test_a_package_in_a_folder_runs_there() -> None:
    workspace = {
        "package.json": json.dumps({"packageManager": "yarn@4"}),
        "apps/web/package.json": json.dumps({"devDependencies": {"vitest": "1"}}),
        **of("apps/web/src/list.tsx", "apps/web/src/__tests__/list.tsx"),
    }
    assert (
        command(workspace, "apps/web/src/list.tsx") == "cd apps/web && yarn vitest run src/__tests__/list.tsx"
    )


def test_a_makefile_is_the_last_resort_and_never_for_documents() -> None:
    workspace = {"Makefile": "all:\n\ntest: all\n\tctest\n", **of("src/parser.c", "README.md")}
    assert command(workspace, "README.md", "src/parser.c") == "make test"
    assert command(workspace, "README.md") is None
    assert command(workspace | {"Makefile": "test := 1\n"}, "src/parser.c") is None


@pytest.mark.parametrize("name", ["-rf.py", "a b.py", "a;rm -rf ~.py", "$(id).py", "a`id`.py", "a\nb.py"])
def test_a_path_that_a_shell_would_read_otherwise_is_not_run(name: str) -> None:
    workspace = {"conftest.py": "", name: "", f"tests/test_{name}": "", f"test_{name}": ""}
    assert command(workspace, name) is None
    assert command(workspace, f"test_{name}") is None
