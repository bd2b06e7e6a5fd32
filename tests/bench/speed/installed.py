"""What an installation takes on the disk, by package: that of the environment that runs this, or of another.

python tests/bench installed
python tests/bench installed --site-packages VENV/lib/python3.11/site-packages --json
"""

import argparse
import json
from pathlib import Path

from support.packages import sizes


def main() -> None:
    """Print megabytes (10^6 bytes, bytecode included) by package."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--site-packages", type=Path, help="folder to look at")
    parser.add_argument("--json", action="store_true", help="print bytes by package as JSON")
    options = parser.parse_args()
    by_name = sizes(options.site_packages)
    if options.json:
        print(json.dumps(by_name))
        return
    print(f"{sum(by_name.values()) / 1e6:8.1f} MB in {len(by_name)} packages")
    for name, size in by_name.items():
        if size >= 1e5:
            print(f"{size / 1e6:8.1f} {name}")


if __name__ == "__main__":
    main()
