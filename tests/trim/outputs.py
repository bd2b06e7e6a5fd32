"""Outputs of tools, made up: what property tests of trimming draw from."""

from hypothesis import strategies as st

from anchorline.trim.marks import Above, Again, Found, Literal, Padded, Rendered

CODE = [f"    value_{n} = compute_something({n}, flag=True)  # step" for n in range(40)]
PATHS = [
    "src/app.py",
    "a-12-b.txt",
    "var/backup/orders-2026-11-01.sql.gz",
    "app/[id]/page.tsx",
    "/home/me/src/app.py",
]
MARKS = [
    str(mark)
    for mark in (
        Above(1, 1, 2),
        Above(1, 2, 2, 7),
        Above(99, 3, 9),
        Again(4),
        Found(3, "src/app.py"),
        Padded(6),
        Literal(),
        Rendered(2, 3),
    )
]
ODD = [
    "",
    " ",
    "\t",
    "}",
    "\r",
    "\x0c",
    "a\x0cb",
    "a\x85b",
    "a\u2028b",
    "٣→x",
    "³\tx",
    "12→x",
    "    12→x",
    "0→x",
    "007\tx",
    "[= ",
    "[= x]",
]


def numbered(lines: list[str], first: int, width: int, sign: str) -> list[str]:
    return [f"{number:>{width}}{sign}{line}" for number, line in enumerate(lines, first)]


ANY = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), max_size=60)
LINE = st.one_of(
    st.sampled_from(CODE[:12]), st.sampled_from(ODD), st.sampled_from(MARKS), st.just("a" * 200), ANY
)
LINES = st.lists(LINE, max_size=30)
"""Anything, with the marks of ours among it."""

READ = st.builds(
    numbered,
    st.builds(lambda count, more: [*CODE, *CODE, *CODE][:count] + more, st.integers(0, 120), LINES),
    st.sampled_from([1, 7, 98, 99_990]),
    st.sampled_from([6, 6, 4, 0]),
    st.sampled_from(["→", "\t", "\t", ":", " "]),
)
"""A file with its line numbers."""

CIDR = st.lists(st.integers(0, 255), max_size=20).map(lambda ns: [f'    "10.{n}.0.0/16",' for n in ns])
FRAMES = st.lists(st.integers(0, 100), max_size=20).map(
    lambda ns: [f"  {n}% {{ opacity: 0.{n}; }}" for n in ns]
)
CSV = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=20).map(
    lambda rows: [f"{a},{b},ok" for a, b in rows]
)
TSV = st.lists(st.tuples(st.integers(0, 99), ANY), max_size=20).map(
    lambda rows: [f"{a}\t{b}" for a, b in rows]
)
LISTING = st.lists(st.integers(1, 30), max_size=20).map(
    lambda days: [f"var/backup/orders-2026-11-{day:02d}.sql.gz" for day in days]
)
LOG = st.lists(
    st.tuples(st.integers(0, 59), st.sampled_from(["GET /", "retry 1/5", "50%"])), max_size=20
).map(lambda rows: [f"2026-11-01T10:00:{second:02d} {what}" for second, what in rows])
DIFF = st.lists(st.tuples(st.sampled_from("+- "), st.sampled_from(CODE)), max_size=20).map(
    lambda rows: ["@@ -1,9 +1,9 @@", *(sign + line for sign, line in rows)]
)
SAME = st.tuples(LINE, st.integers(1, 50)).map(lambda one: [one[0]] * one[1])
FOUND = st.lists(
    st.tuples(st.sampled_from(PATHS), st.integers(1, 200), st.sampled_from(":-"), st.sampled_from(CODE)),
    max_size=30,
).map(lambda rows: [f"{path}{sign}{number}{sign}{line}" for path, number, sign, line in rows])
GREP = st.tuples(
    st.sampled_from(PATHS),
    st.integers(1, 99),
    st.lists(st.tuples(st.sampled_from("::-"), LINE), min_size=5, max_size=20),
).map(
    lambda one: [f"{one[0]}{sign}{number}{sign}{line}" for number, (sign, line) in enumerate(one[2], one[1])]
)
DRAWN = st.lists(st.integers(0, 100), min_size=2, max_size=20).map(
    lambda ns: ["".join(f"\r{n:3d}% |{'#' * n:100s}|" for n in ns)]
)
COLOURS = st.lists(st.sampled_from(CODE), max_size=9).map(
    lambda lines: [f"\x1b[1;31m{line}\x1b[0m" for line in lines]
)

PART = st.one_of(
    LINES, READ, READ, GREP, CIDR, FRAMES, CSV, TSV, LISTING, LOG, DIFF, SAME, FOUND, GREP, DRAWN, COLOURS
)
OUTPUT = st.builds(
    lambda parts, end, last: end.join(line for part in parts for line in part) + last,
    st.lists(PART, max_size=4),
    st.sampled_from(["\n", "\n", "\n", "\r\n", "\r", "\n\n"]),
    st.sampled_from(["\n", "", "\r\n", "\n\n\n"]),
)
"""A tool's output: parts of all these, with one of the ends of lines, with or without a last one."""
