"""Write what the extension takes from the server: the protocol's types, what is a prompt, and the settings.

`python client-vscode/generate.py` after a change of `lsp/protocol.py`, `lsp/prompt_files.py`, `report/model.py`,
`sessions/agents.py`, `plan.py` or `config.py`; a test fails when the extension differs from the server.
"""

import json
import types
import typing
from pathlib import Path
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin

import msgspec

from anchorline import config, plan
from anchorline.cache.miss_causes import Cause
from anchorline.limits.model import TITLES
from anchorline.limits.wording import PLANS
from anchorline.lsp import prompt_files, protocol
from anchorline.report.model import Report
from anchorline.sessions.agents import AGENTS

HERE = Path(__file__).parent
MADE = "// Generated from the server by generate.py. Do not edit.\n\n"
RESULTS: dict[str, type[Any]] = {
    protocol.PLAN: plan.Plan,
    protocol.REFINE: protocol.RefineResult,
    protocol.PREVIEW: protocol.Preview,
    protocol.OUTCOME: protocol.Recorded,
    protocol.FEEDBACK: protocol.Recorded,
    protocol.EXPLAIN: protocol.Explanation,
    protocol.STATUS: protocol.Status,
    protocol.REPORT: protocol.ReportPage,
}
PARTS = (protocol.Proposal,)
"""What streams while a refinement is made."""
PLAIN = {
    "plan": "Plan",
    "refinement": "Refinement",
    "edit": "WorkspaceEdit | null",
    "context": "WorkspaceEdit | null",
}
"""Fields that the server sends as plain data, and what that is."""

SCALARS = {str: "string", int: "number", float: "number", bool: "boolean", type(None): "null", Any: "unknown"}
EXTENSION: dict[str, dict[str, Any]] = {
    "anchorline.path": {
        "type": "array",
        "items": {"type": "string"},
        "default": [],
        "scope": "machine-overridable",
        "markdownDescription": "Paths of the `anchorline` command; the first that exists is used. "
        "Empty: searches your Python environment and the PATH.",
    },
    "anchorline.interpreter": {
        "type": "array",
        "items": {"type": "string"},
        "default": [],
        "scope": "machine-overridable",
        "markdownDescription": "Paths of Python interpreters; uses the `anchorline` command next to the first "
        "that exists. Empty: uses the interpreter selected in the Python extension.",
    },
    "anchorline.importStrategy": {
        "type": "string",
        "enum": ["fromEnvironment", "fromPath"],
        "enumDescriptions": [
            "The project's Python environment first, then the PATH and the folders of uv and pipx.",
            "Only the PATH and the folders of uv and pipx.",
        ],
        "default": "fromEnvironment",
        "scope": "machine-overridable",
        "markdownDescription": "Where to look for the `anchorline` command.",
    },
    "anchorline.trace.server": {
        "type": "string",
        "enum": ["off", "messages", "verbose"],
        "default": "off",
        "scope": "window",
        "markdownDescription": "Log the messages between editor and server. "
        "`verbose` includes the text of your prompts.",
    },
}


def properties() -> dict[str, dict[str, Any]]:
    """Return the settings as VS Code declares them: the extension's own, then the server's."""
    return {**EXTENSION, **{f"anchorline.{key.name}": _setting(key) for key in config.of_editors()}}


SECTIONS = {
    "refine": "Refinement",
    "ground": "Context from the Workspace",
    "route": "Model",
    "cache": "Prompt Cache",
    "editor": "Editor",
    "budget": "Budgets",
    "store": "Recording",
    "gateway": "Gateway",
    "answers": "Response Cache",
    "engine": "Local Model",
    "files": "Own Rules and Prices",
    "log": "Logging",
}
"""The groups of the settings, those that most people look for first; the extension's own come before the last."""


def configuration() -> list[dict[str, Any]]:
    """Return the settings in groups, as VS Code shows them."""
    groups: dict[str, dict[str, dict[str, Any]]] = {section: {} for section in SECTIONS}
    for key in config.of_editors():
        groups[key.name.partition(".")[0]][f"anchorline.{key.name}"] = _setting(key)
    titled = [
        {"title": f"{SECTIONS[section]}", "properties": settings} for section, settings in groups.items()
    ]
    own = {"title": "Server", "properties": EXTENSION}
    shown = [*titled[:-1], own, titled[-1]]
    for number, group in enumerate(shown):
        group["order"] = number
    return shown


def restricted() -> list[str]:
    """Return the settings that a workspace can't set before it is trusted."""
    return [name for name in properties() if name != "anchorline.trace.server"]


def _setting(key: config.Key) -> dict[str, Any]:
    if key.type == "list of strings":
        kind: dict[str, Any] = {"type": "array", "items": {"type": "string"}}
    elif key.type.startswith('"'):
        kind = {"type": "string", "enum": [choice.strip('"') for choice in key.type.split(" | ")]}
    else:
        kind = {"type": key.type}
    own = key.name in config.USER_ONLY | config.STRICTER_ONLY
    return {
        **kind,
        "default": list(key.default) if isinstance(key.default, tuple) else key.default,
        "scope": "machine" if own else "window",
        "markdownDescription": key.description,
    }


def manifest(text: str) -> str:
    """Return the package.json with the settings in it."""
    package = json.loads(text)
    package["contributes"]["configuration"] = configuration()
    package["capabilities"]["untrustedWorkspaces"]["restrictedConfigurations"] = restricted()
    return json.dumps(package, indent=2, ensure_ascii=False) + "\n"


def declarations() -> str:
    """Return the TypeScript types of the requests and of all that they hold."""
    known: dict[str, str] = {}
    for kind in protocol.PARAMS.values():
        _declare(kind, known, sent=True)
    for kind in (*RESULTS.values(), *PARTS):
        _declare(kind, known, sent=False)
    methods = [
        f'  "{method}": {{ params: {kind.__name__}; result: {RESULTS[method].__name__} }};\n'
        for method, kind in protocol.PARAMS.items()
    ]
    head = 'import type { WorkspaceEdit } from "vscode-languageclient/node";\n\n'
    doc = "/** What is sent with each request, and what comes back. */\n"
    requests = f"{doc}export interface Requests {{\n{''.join(methods)}}}\n"
    return MADE + head + "\n".join([*known.values(), requests])


def report() -> str:
    """Return the TypeScript types of the report, for the dashboard."""
    known: dict[str, str] = {}
    _declare(Report, known, sent=False)
    cause = f"export type Cause = {_type(Cause, known, False)};\n"
    titles = ("TITLES", TITLES, "What a person calls a plan's windows."), ("PLANS", PLANS, "And the plans.")
    names = [
        f"/** {doc} */\nexport const {name}: Record<string, string> = {json.dumps(values)};\n"
        for name, values, doc in titles
    ]
    return MADE + "\n".join([*known.values(), cause, *names])


def served_documents() -> str:
    """Return what makes a document one of Anchorline's."""
    names = {
        "SUFFIXES": prompt_files.SUFFIXES,
        "NAMES": sorted(prompt_files.NAMES),
        "BODIES": prompt_files.BODIES,
        "LANGUAGES": sorted(prompt_files.LANGUAGES),
        "SCHEMES": sorted(prompt_files.SCHEMES),
        "SETTINGS": [key.name for key in config.of_editors()],
    }
    return MADE + "".join(
        f"export const {name} = {json.dumps(list(values))} as const;\n" for name, values in names.items()
    )


def _declare(kind: type[Any], known: dict[str, str], *, sent: bool) -> None:
    name = kind.__name__
    if name in known:
        return
    known[name] = ""  # the order of mention; and no recursion without end
    hints = typing.get_type_hints(kind, include_extras=True)
    lines = []
    for field in msgspec.structs.fields(kind):
        omitted = not field.required and (sent or kind.__struct_config__.omit_defaults)
        shown = PLAIN[field.name] if _is_plain(hints[field.name]) else _type(hints[field.name], known, sent)
        lines.append(f"  {field.encode_name}{'?' if omitted else ''}: {shown};\n")
    doc = " ".join((kind.__doc__ or "").split("\n\n")[0].split())
    if lines:
        known[name] = f"/** {doc} */\nexport interface {name} {{\n{''.join(lines)}}}\n"
    else:
        known[name] = f"/** {doc} */\nexport type {name} = Record<string, never>;\n"


def _is_plain(kind: object) -> bool:
    return "dict[str, typing.Any]" in str(kind) and "str |" not in str(kind)


def _type(kind: object, known: dict[str, str], sent: bool) -> str:
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _type(args[0], known, sent)
    if origin in (Union, types.UnionType):
        return " | ".join(dict.fromkeys(_type(one, known, sent) for one in args))
    if origin is Literal:
        return " | ".join(json.dumps(one) for one in args)
    if origin is tuple:
        inner = _type(args[0], known, sent)
        return f"readonly ({inner})[]" if " " in inner else f"readonly {inner}[]"
    if origin is dict:
        return f"Record<{_type(args[0], known, sent)}, {_type(args[1], known, sent)}>"
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        _declare(kind, known, sent=sent)
        return kind.__name__
    return SCALARS[cast("type[Any]", kind)]


def agents_read() -> str:
    """Return the module that has the agents whose sessions can be imported."""
    rows = "".join(
        f"  {{ label: {json.dumps(agent.title)}, tool: {json.dumps(agent.name)} }},\n"
        for agent in AGENTS.values()
    )
    return (
        f"{MADE}/** Agents whose sessions `anchorline import` reads. */\nexport const AGENTS = [\n{rows}];\n"
    )


def files() -> dict[Path, str]:
    """Return all that is generated."""
    package = HERE / "package.json"
    return {
        package: manifest(package.read_text("utf-8")),
        HERE / "src" / "protocol.ts": declarations(),
        HERE / "src" / "served.ts": served_documents(),
        HERE / "src" / "agents.ts": agents_read(),
        HERE / "dashboard" / "report.ts": report(),
    }


if __name__ == "__main__":
    for path, text in files().items():
        path.write_text(text, "utf-8")
