"""A small repository whose files are about different things, and prompts that are about one of them."""

from pathlib import Path

from support.repositories import Repository

SUBJECTS = {
    "billing": "invoice tax currency discount ledger refund",
    "mailer": "smtp envelope attachment bounce recipient queue",
    "scheduler": "cron interval timezone backlog worker retry",
    "thumbnails": "image crop resize pixel canvas jpeg",
    "sessions": "cookie login token expiry logout password",
    "search": "index tokenizer ranking stopword snippet query",
}
PROMPT = "The scheduler ignores the timezone of an interval, so each retry of a worker comes an hour late."
FILE = "src/shop/scheduler.py"


def shop(folder: Path) -> Repository:
    """Make a repository of six modules with their tests, whose newest commit is of the module that `PROMPT` is about."""
    repository = Repository(folder)
    repository.commit(
        {"pyproject.toml": "[project]\nname = 'shop'\n\n[tool.pytest]\n", "README.md": "# Shop\n"}
    )
    for name in sorted(SUBJECTS, key="scheduler".__eq__):
        repository.commit(_module(name))
    return repository


def _module(name: str) -> dict[str, str]:
    words = SUBJECTS[name].split()
    functions = "".join(
        f'\n\ndef {name}_{word}(value):\n    """Handles the {word} of the {name}."""\n    return value  # {word}\n'
        for word in words
    )
    tests = "".join(f"\n\ndef test_{word}():\n    assert {name}.{name}_{word}(1) == 1\n" for word in words)
    return {
        f"src/shop/{name}.py": f'"""The {name}: {", ".join(words)}."""\n{functions}',
        f"tests/test_{name}.py": f"import pytest\n\nfrom shop import {name}\n{tests}",
    }
