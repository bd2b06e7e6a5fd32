"""How fast is each engine on this CPU with the same weights? One GGUF file, in rounds, each engine in a process of its own.

    python tests/bench/engines.py [--gguf FILE | --models FOLDER --model qwen2.5-coder-0.5b] [--mlx FOLDER] [--engines …]
                                  [--rounds 3] [--json]

`prefill_tokens_per_s` and `decode_tokens_per_s`: greedy, 32 tokens after some 190 that no engine has seen, as each engine's
caller gets them. `score_s`: 20 labels of several tokens after a prompt that is read for them, where an engine can do that.
`load_s`: to the first token. `rss_mb`: the most that the process had resident. `installed_mb`: the engine's package.
`decode_over_mlx` is llama.cpp's decode in our worker over MLX's there, `decode_over_llama_server` over that of llama.cpp's
own server, by round. An engine that is not installed or can't take the file is skipped, and the reason is in `skipped`.

Engines: `llama.cpp` and `mlx` are our worker; MLX computes in fp32 with OpenBLAS, from a folder that is converted from the
file (or given with `--mlx`). `llama-server` is llama.cpp's server from the same library, called without HTTP. `mistral.rs`
(package mistralrs), `openvino` (openvino-genai) read the file as well. `onnxruntime` (onnxruntime-genai) reads only what its
model builder has made, with torch and transformers: `python -m onnxruntime_genai.models.builder -i FILE -o FOLDER -p int4 -e
cpu`.
"""

import argparse
import asyncio
import importlib.metadata
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from anchorline import config
from anchorline.engine import installed, requirements
from anchorline.engine.client import Engine
from anchorline.engine.converting import convert
from anchorline.engine.errors import ConversionError
from anchorline.engine.manifest import LocalModel
from anchorline.generation import Request
from bench import BENCH
from bench.reporting import environment, interval, show
from bench.speed.engine import WORDS

MODEL = "qwen2.5-coder-0.5b"
PROMPT = 180
TOKENS = 32
LABELS = [f" src/{folder}/{name}.py" for folder in ("parse", "cache") for name in WORDS[:10]]
PACKAGES = {
    "llama.cpp": ("xllamacpp",),
    "llama-server": ("xllamacpp",),
    "mlx": ("mlx", "mlx-cpu", "mlx-lm", "transformers", "tokenizers"),
    "mistral.rs": ("mistralrs",),
    "openvino": ("openvino", "openvino-genai", "openvino-tokenizers"),
    "onnxruntime": ("onnxruntime", "onnxruntime-genai"),
}
NO_BUILDER = "it reads no GGUF: its model builder makes a folder of its own format, with torch and transformers, not installed"
SECONDS = 1800


def prompt(seed: int) -> str:
    """Return a text that no engine has seen."""
    generator = random.Random(seed)
    return " ".join(generator.choice(WORDS) for _ in range(PROMPT))


# Engines of others, in their own process: each returns what generates, and gives seconds to the first token and after it.

Generate = Callable[[str, int], tuple[float, float, int]]


def llama_server(file: Path) -> Generate:
    """Return llama.cpp's own server, with the threads that our worker has."""
    import xllamacpp

    from anchorline.engine import blas

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(file)
    parameters.n_ctx = 2048
    parameters.n_parallel = 1
    parameters.verbosity = -1
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = blas.threads()
    server = xllamacpp.Server(parameters)

    def generate(text: str, tokens: int) -> tuple[float, float, int]:
        asked = {
            "prompt": text,
            "n_predict": tokens,
            "temperature": 0,
            "cache_prompt": False,
            "ignore_eos": True,
        }
        timings = server.handle_completions(asked)["timings"]
        rest_s = timings["predicted_ms"] / 1000  # from the first token to the last
        count = timings["predicted_n"]
        return timings["prompt_ms"] / 1000, rest_s, count

    return generate


def mistral_rs(file: Path) -> Generate:
    """Return mistral.rs."""
    import mistralrs

    which = mistralrs.Which.GGUF(quantized_model_id=str(file.parent), quantized_filename=file.name)
    runner = mistralrs.Runner(which=which)

    def generate(text: str, tokens: int) -> tuple[float, float, int]:
        asked = mistralrs.CompletionRequest(model="default", prompt=text, max_tokens=tokens, temperature=0.0)
        usage = runner.send_completion_request(asked).usage
        count = usage.completion_tokens
        return usage.total_prompt_time_sec, usage.total_completion_time_sec, count

    return generate


def openvino(file: Path) -> Generate:
    """Return OpenVINO GenAI, which reads GGUF itself."""
    import openvino_genai

    pipeline = openvino_genai.LLMPipeline(str(file), "CPU")

    def generate(text: str, tokens: int) -> tuple[float, float, int]:
        came: list[float] = []
        started = time.perf_counter()
        pipeline.generate(
            text,
            max_new_tokens=tokens,
            do_sample=False,
            ignore_eos=True,
            apply_chat_template=False,
            streamer=lambda _: came.append(time.perf_counter()),
        )
        ended = time.perf_counter()
        return came[0] - started, ended - came[0], tokens

    return generate


OTHERS: dict[str, Callable[[Path], Generate]] = {
    "llama-server": llama_server,
    "mistral.rs": mistral_rs,
    "openvino": openvino,
}


def peer(name: str, file: Path, seed: int) -> dict[str, float]:
    """Measure an engine of others; in a process of its own."""
    started = time.perf_counter()
    generate = OTHERS[name](file)
    generate("a", 2)
    load_s = time.perf_counter() - started
    first_s, rest_s, count = generate(prompt(seed), TOKENS)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return {"load_s": load_s, "first_s": first_s, "decode": (count - 1) / rest_s, "rss_mb": used / 1e6}


def others(name: str, file: Path, seed: int) -> dict[str, float]:
    """Have `peer` measure. Raises RuntimeError with the last words of a process that could not."""
    command = [
        sys.executable,
        str(BENCH),
        "engines",
        "--peer",
        name,
        "--gguf",
        str(file),
        "--seed",
        str(seed),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        raise RuntimeError((done.stderr.strip().splitlines() or [f"code {done.returncode}"])[-1][:200])
    measured: dict[str, float] = json.loads(lines[-1])
    return measured


async def ours(model: str, seed: int) -> dict[str, float]:
    """Measure our worker with an installed model, as its client sees it."""
    engine = Engine(config.Engine(model=model, deadline_seconds=SECONDS))
    try:
        await engine.start()
        assert engine.ready is not None
        asked = Request(prompt(seed), chat=False, max_tokens=TOKENS)
        started = time.perf_counter()
        first = 0.0
        async for _ in engine.generate(asked):
            first = first or time.perf_counter()
        ended = time.perf_counter()
        last = engine.last
        assert last is not None
        before = time.perf_counter()
        await engine.score(prompt(seed + 1), LABELS, chat=False)
        return {
            "load_s": engine.ready.load_s,
            "first_s": first - started,
            "decode": (last.generated - 1) / (ended - first),
            "score_s": time.perf_counter() - before,
            "rss_mb": last.peak_memory / 1e6,
            "prompt": last.prompt,
        }
    finally:
        await engine.close()


def installed_mb(name: str) -> float:
    """Return what an engine's packages take on the disk."""
    total = 0
    for package in PACKAGES[name]:
        try:
            files = importlib.metadata.files(package) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        paths = {Path(str(file.locate())) for file in files}
        total += sum(path.stat().st_size for path in paths if path.is_file())
    return total / 1e6


def install(file: Path, mlx: Path | None, skipped: dict[str, str]) -> None:
    """Have the file installed for llama.cpp and, converted, for MLX, in the folder of models that is set."""
    staged = installed.staging("llama")
    staged.mkdir(parents=True)
    (staged / installed.GGUF).symlink_to(file)
    installed.install(LocalModel(f"path:{file}", id="llama"), staged)
    if lacks := requirements.missing("mlx"):
        skipped["mlx"] = lacks
        return
    staged = installed.staging("mlx")
    staged.mkdir()
    try:
        if mlx is not None:
            for part in mlx.iterdir():
                if part.is_file() and part.name != installed.RECEIPT:
                    (staged / part.name).symlink_to(part)
        else:
            convert(file, staged)
    except ConversionError as error:
        skipped["mlx"] = str(error)
        return
    installed.install(LocalModel(f"path:{mlx or file}", id="mlx"), staged)


def measure(
    file: Path, mlx: Path | None, names: list[str], rounds: int
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Return the rows, and why engines were skipped."""
    measured: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    skipped: dict[str, str] = {}
    for name in names:
        module = {
            "openvino": "openvino_genai",
            "mistral.rs": "mistralrs",
            "onnxruntime": "onnxruntime_genai",
        }.get(name)
        if module and find_spec(module) is None:
            skipped[name] = f"{module} is not installed"
    if "onnxruntime" in names:
        skipped.setdefault("onnxruntime", NO_BUILDER)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ANCHORLINE_MODELS_DIR"] = folder
        install(file, mlx, skipped)
        for number in range(rounds):
            for name in names:
                if name in skipped:
                    continue
                try:
                    if name in ("llama.cpp", "mlx"):
                        model = "llama" if name == "llama.cpp" else name
                        measured[name].append(asyncio.run(ours(model, 10 * number)))
                    else:
                        measured[name].append(others(name, file, 10 * number))
                except Exception as error:  # noqa: BLE001  (one engine's failure is a result)
                    skipped[name] = f"{type(error).__name__}: {error}"
    return list(rows(measured)), skipped


def rows(measured: dict[str, list[dict[str, float]]]) -> Iterator[dict[str, Any]]:
    """Yield the table's rows."""
    read = next((one["prompt"] for all_ in measured.values() for one in all_ if "prompt" in one), 0.0)
    for name, all_ in measured.items():
        if not all_:
            continue
        if read:
            yield interval(name, "prefill_tokens_per_s", [read / one["first_s"] for one in all_])
        yield interval(name, "decode_tokens_per_s", [one["decode"] for one in all_])
        for key in ("score_s", "load_s", "rss_mb"):
            if key in all_[0]:
                yield interval(name, key, [one[key] for one in all_])
        yield interval(name, "installed_mb", [installed_mb(name)])
    for other, metric in (("mlx", "decode_over_mlx"), ("llama-server", "decode_over_llama_server")):
        pairs = list(zip(measured.get("llama.cpp", ()), measured.get(other, ()), strict=False))
        if pairs:
            ratios = [mine["decode"] / its["decode"] for mine, its in pairs]
            yield interval("llama.cpp", metric, ratios, statistics.median(ratios))


def weights(arguments: argparse.Namespace) -> Path:
    """Return the file to measure with. Ends the program where there is none."""
    if arguments.gguf:
        file: Path = arguments.gguf
    else:
        file = (arguments.models or installed.root()) / arguments.model / installed.GGUF
    if not file.is_file():
        sys.exit(
            f"{file} is not there: run `anchorline model pull {arguments.model}`, or name a file with --gguf"
        )
    return file.resolve()


def main() -> None:
    """Print the table, or one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--gguf", type=Path, help="the weights")
    parser.add_argument("--models", type=Path, help="a folder of installed models")
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--mlx", type=Path, help="the same weights as mlx_lm's folder")
    parser.add_argument("--engines", nargs="+", choices=list(PACKAGES), default=list(PACKAGES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    file = weights(arguments)
    if arguments.peer:
        print(json.dumps(peer(arguments.peer, file, arguments.seed)))
        return
    table, skipped = measure(file, arguments.mlx, arguments.engines, arguments.rounds)
    about = environment() | {"weights": file.name, "load_average": os.getloadavg()[0], "skipped": skipped}
    show("engines", table, about, as_json=arguments.json)
    if not arguments.json:
        for name, reason in skipped.items():
            print(f"{name}: skipped: {reason}")


if __name__ == "__main__":
    main()
