"""Makes `server/anchorline/refine/words/{common.txt,known.bloom}` from SCOWL, `software.txt` and `technologies.txt`.

    python tests/bench words SCOWL_FOLDER

SCOWL_FOLDER holds the word lists (Debian: package `scowl`, /usr/share/dict/scowl).
The output depends on the input only, so a rebuild with the same SCOWL changes nothing.
"""

import sys
from pathlib import Path

from anchorline.refine.words import positions

WORDS = Path(__file__).parents[3] / "server" / "anchorline" / "refine" / "words"
BITS_PER_WORD = 10
COMMON_SIZES = ("10", "20")
KNOWN_SIZES = (*COMMON_SIZES, "35", "40", "50", "55", "60", "70")


def words(
    folder: Path, sizes: tuple[str, ...], spellings: tuple[str, ...], lists: tuple[str, ...]
) -> set[str]:
    """Return the ASCII words of SCOWL's lists of these sizes, spellings and kinds, lower case."""
    found: set[str] = set()
    for path in sorted(folder.iterdir()):
        spelling, _, rest = path.name.partition("-")
        if (
            rest.rpartition(".")[2] in sizes
            and rest.startswith(lists)
            and (not spellings or spelling in spellings)
        ):
            found.update(path.read_text("latin-1").lower().split())
    return {word for word in found if word.isascii() and word.isalpha()}


def bloom(known: set[str]) -> bytes:
    """Return the Bloom filter of these words."""
    bits = (len(known) * BITS_PER_WORD + 7) // 8 * 8
    table = bytearray(bits // 8)
    for word in known:
        for bit in positions(word, bits):
            table[bit >> 3] |= 1 << (bit & 7)
    return bytes(table)


def main() -> None:
    """Write both files."""
    scowl, folder = Path(sys.argv[1]), WORDS
    software = set((folder / "software.txt").read_text("ascii").split())
    common = words(scowl, COMMON_SIZES, ("english", "american"), ("words",)) | software
    (folder / "common.txt").write_text("\n".join(sorted(common)) + "\n", "ascii")
    names = set((folder / "technologies.txt").read_text("ascii").split())
    known = words(scowl, KNOWN_SIZES, (), ("words", "upper", "proper-names"))
    (folder / "known.bloom").write_bytes(bloom(known | common | names))


if __name__ == "__main__":
    main()
