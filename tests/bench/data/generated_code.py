"""Runs a program that a model wrote, apart from everything: does it pass its tests?

The process has no network, no environment, a folder of its own that is removed after it, and limits of time, memory,
file size and processes. That is enough against mistakes, not against an attacker.
"""

import secrets
import subprocess
import sys
import tempfile

SECONDS = 10
MEMORY_BYTES = 1 << 30
FILE_BYTES = 1 << 20

_RUNNER = f"""
import ctypes, resource, sys
if sys.platform == "linux":
    new_user, new_network = 0x10000000, 0x40000000
    if ctypes.CDLL(None, use_errno=True).unshare(new_user | new_network):
        sys.exit("no namespace without a network can be made here")
resource.setrlimit(resource.RLIMIT_CPU, ({SECONDS}, {SECONDS}))
resource.setrlimit(resource.RLIMIT_AS, ({MEMORY_BYTES}, {MEMORY_BYTES}))
resource.setrlimit(resource.RLIMIT_FSIZE, ({FILE_BYTES}, {FILE_BYTES}))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
print("isolated", flush=True)
program = sys.stdin.read()
passed = program.splitlines()[0]
exec(compile(program, "answer.py", "exec"), {{"__name__": "answer"}})
print(passed.lstrip("# "), flush=True)
"""


def passes(program: str) -> bool:
    """Run a program and tell whether it came to its end. Raises OSError where it can't be isolated."""
    word = secrets.token_hex(8)
    with tempfile.TemporaryDirectory() as folder:
        try:
            ended = subprocess.run(
                [sys.executable, "-I", "-S", "-c", _RUNNER], input=f"# {word}\n{program}\n", cwd=folder, env={},
                capture_output=True, text=True, errors="replace", timeout=SECONDS + 5, check=False, start_new_session=True,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return False
    if not ended.stdout.startswith("isolated"):
        raise OSError(f"a program could not be isolated: {ended.stderr.strip()[-200:]}")
    return ended.stdout.rstrip().endswith(word)
