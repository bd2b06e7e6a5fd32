"""What `anchorline doctor` says of the local language model: device, BLAS, model and, measured, its speed."""

import asyncio
import importlib.metadata
import importlib.util
import platform
import sys

from anchorline import config
from anchorline.cli.check import Check
from anchorline.engine import blas, installed, manifest
from anchorline.engine.errors import DamagedError
from anchorline.generation import Unavailable

SLOW_TOKENS_PER_S = 20.0
"""Below this a rewrite of a usual prompt, 50 tokens, takes longer than one likes to wait."""


def examine(settings: config.Engine, *, measured: bool) -> list[Check]:
    """Look at what the engine needs; with `measured`, load the model and time it."""
    if not settings.enabled:
        return [Check("engine", "ok", "switched off (engine.enabled)")]
    if importlib.util.find_spec("mlx") is None or importlib.util.find_spec("mlx_lm") is None:
        advice = "MLX has builds for Apple silicon and for Linux on x86-64 and ARM64; refinement goes by rules without"
        return [Check("engine", "ok", "no local model: MLX is not installed", advice)]
    name = settings.model or manifest.default()
    checks = [_device(), _model(name)]
    if measured and checks[-1].status == "ok" and installed.receipt(installed.folder(name)) is not None:
        checks.append(_speed(settings))
    return checks


def _device() -> Check:
    version = f"MLX {importlib.metadata.version('mlx')}"
    if sys.platform == "darwin":
        return Check(
            "engine", "ok", f"{version} on {'Metal' if platform.machine() == 'arm64' else 'the CPU'}"
        )
    found = blas.find()
    if found is None:
        return Check(
            "engine",
            "warning",
            f"{version} on the CPU with its own, unoptimised BLAS: many times slower",
            blas.ADVICE,
        )
    return Check("engine", "ok", f"{version} on the CPU, BLAS {blas.file(found)}, {blas.threads()} threads")


def _model(name: str) -> Check:
    place = installed.folder(name)
    if installed.receipt(place) is None:
        return Check(
            "model", "ok", f"none: {name} is not installed", f"`anchorline model pull {name}` installs it"
        )
    try:
        receipt = installed.verify(place)
    except DamagedError as error:
        return Check("local model", "error", str(error))
    return Check("local model", "ok", f"{name}, {receipt.size / 1e6:,.0f} MB in {place}")


def _speed(settings: config.Engine) -> Check:
    from anchorline.engine.client import Engine  # noqa: PLC0415  (not light)
    from anchorline.engine.measure import Speed, measure  # noqa: PLC0415

    async def run() -> Speed:
        engine = Engine(settings)
        try:
            return await measure(engine)
        finally:
            await engine.close()

    try:
        speed = asyncio.run(run())
    except Unavailable as error:
        return Check("model speed", "error", str(error))
    said = (
        f"prefill {speed.prefill_tokens_per_s:g}, decode {speed.decode_tokens_per_s:g} tokens/s; first token after "
        f"{speed.first_token_ms:.0f} ms of {speed.prompt_tokens}; {speed.peak_memory_mb:g} MB"
    )
    slow = speed.decode_tokens_per_s < SLOW_TOKENS_PER_S
    advice = "a smaller model, a free processor or Apple silicon would be faster" if slow else ""
    return Check("model speed", "ok", said, advice)
