"""Runs a bench, or a program that makes a shipped file, by its name: `python tests/bench NAME [ARGUMENTS]`.

Without a name it lists them all. `speed` measures time and memory, `quality` how good decisions are, `make` writes what
ships, and `data` reads recorded sessions for all of these.
"""

import ast
import runpy
import sys
from pathlib import Path

BENCH = Path(__file__).resolve().parent
ROOMS = {
    "speed": "time and memory",
    "quality": "how good decisions are",
    "make": "programs that make shipped files",
}


def programs() -> dict[str, str]:
    """Return the programs by name, each with its module."""
    return {
        path.stem: f"bench.{room}.{path.stem}"
        for room in ROOMS
        for path in sorted((BENCH / room).glob("*.py"))
        if '__name__ == "__main__"' in path.read_text("utf-8")
    }


def listing() -> str:
    """Return the names of all programs with the first line of what each says of itself."""
    lines = ["usage: python tests/bench NAME [ARGUMENTS]   (NAME --help says which)"]
    for room, subject in ROOMS.items():
        lines += ["", f"{room}: {subject}"]
        for name, module in programs().items():
            if module.split(".")[1] == room:
                text = (BENCH / room / f"{name}.py").read_text("utf-8")
                lines.append(f"  {name:20} {(ast.get_docstring(ast.parse(text)) or '').splitlines()[0]}")
    return "\n".join(lines)


def main() -> None:
    """Run the program that is named."""
    if len(sys.argv) < 2 or sys.argv[1] in {"-h", "--help"}:
        print(listing())
        return
    name = sys.argv.pop(1)
    module = programs().get(name)
    if module is None:
        sys.exit(f"no bench is called {name!r}; python tests/bench lists them")
    sys.path[0] = str(BENCH.parent)
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
