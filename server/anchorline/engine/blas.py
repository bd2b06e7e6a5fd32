"""A fast BLAS for MLX on Linux CPUs, loaded before MLX is.

The wheel `mlx-cpu` bundles an unoptimised BLAS. A library that is loaded globally before it takes its place: the
dynamic linker finds `cblas_sgemm` there first. It must be a C interface with plain symbol names and 32-bit
integers (LP64), as Debian's `libopenblas0-pthread` is; the copies inside numpy and scipy have prefixed names.
"""

import ctypes
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

LIBRARIES = (
    "libopenblasp.so.0",
    "libopenblas.so.0",
    "libopenblas.so",
    "libopenblaso.so.0",
    "libmkl_rt.so.2",
    "libblis.so.4",
)
"""By the names of Fedora, Debian, Conda and Intel, the threaded ones first."""
ADVICE = "install OpenBLAS: `apt install libopenblas0-pthread` (Debian, Ubuntu) or `conda install openblas`"
CORES = {"avx512bw": "SkylakeX", "avx2": "Haswell"}
"""Of what a processor can do, OpenBLAS's name for the code that uses it, the fastest first."""
MOST_THREADS = 8
"""Decoding is bound by memory, which a few cores use up."""


class Blas(msgspec.Struct, frozen=True):
    """What computes: the library's file (or MLX's own) and its threads."""

    library: str
    fast: bool
    threads: int = 1


NONE = Blas("MLX's own, unoptimised", fast=False)


def threads() -> int:
    """Returns how many threads to compute with: half of many processors, so that the editor stays quick."""
    if sys.platform == "linux":
        available = len(os.sched_getaffinity(0))
    else:
        available = os.cpu_count() or 1
    return available if available <= 2 else min(MOST_THREADS, available // 2)


def load() -> Blas:
    """Loads the first BLAS that fits, where one is needed. Call before `mlx.core` is imported."""
    if sys.platform != "linux":
        return Blas("Accelerate" if sys.platform == "darwin" else "MLX's own", fast=sys.platform == "darwin")
    if "mlx.core" in sys.modules:
        raise RuntimeError("the BLAS must be loaded before mlx.core is imported")
    _name_processor()
    name = find()
    if name is None:
        return NONE
    library = ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)
    return Blas(file(name), fast=True, threads=_limit(library))


def find() -> str | None:
    """Returns the name of the first BLAS that fits; None where there is none."""
    for name in _candidates():
        try:
            if _fits(name):
                return name
        except OSError:
            continue
    return None


def _name_processor() -> None:
    """Tells OpenBLAS what the processor can do, unless the user has.

    An OpenBLAS older than the processor does not know its number, and falls back to code for those of 2004: four to
    five times slower.
    """
    try:
        about = Path("/proc/cpuinfo").read_text("utf-8", "replace")
    except OSError:
        return
    able = set(about.partition("flags")[2].partition("\n")[0].split())
    for flag, core in CORES.items():
        if flag in able:
            os.environ.setdefault("OPENBLAS_CORETYPE", core)
            return


def _candidates() -> Iterator[str]:
    named = os.environ.get("ANCHORLINE_BLAS")
    if named:
        yield named
    for name in LIBRARIES:
        yield name
        yield str(Path(sys.prefix) / "lib" / name)  # where Conda and the wheel `mkl` put it


def _fits(name: str) -> bool:
    """Looks at a library without letting its names out. Raises OSError where it can't be loaded."""
    library = ctypes.CDLL(name, mode=ctypes.RTLD_LOCAL)
    if not hasattr(library, "cblas_sgemm"):
        return False
    if not hasattr(library, "openblas_get_config"):
        return True
    library.openblas_get_config.restype = ctypes.c_char_p
    return b"USE64BITINT" not in (library.openblas_get_config() or b"")


def _limit(library: ctypes.CDLL) -> int:
    count = threads()
    for setter in ("openblas_set_num_threads", "MKL_Set_Num_Threads", "bli_thread_set_num_threads"):
        if hasattr(library, setter):
            getattr(library, setter)(count)
            break
    return count


class _SymbolInfo(ctypes.Structure):
    _fields_ = (
        ("file", ctypes.c_char_p),
        ("base", ctypes.c_void_p),
        ("symbol", ctypes.c_char_p),
        ("address", ctypes.c_void_p),
    )


def file(name: str) -> str:
    """Returns the file of a BLAS: the one that its `cblas_sgemm` stands in (dladdr)."""
    info = _SymbolInfo()
    address = ctypes.cast(ctypes.CDLL(name).cblas_sgemm, ctypes.c_void_p)
    success = ctypes.CDLL(None).dladdr(address, ctypes.byref(info))
    return os.path.realpath(os.fsdecode(info.file)) if success and info.file else name
