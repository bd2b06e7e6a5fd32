"""What an index is made of: the files of a workspace at one moment, and which of them count."""

import re
from typing import NamedTuple, Protocol

from anchorline.index.history import History

LARGEST = 200_000
LARGEST_SOURCE = 400_000
"""Bytes of a file that is indexed, at most."""
_LEFT_OUT = re.compile(
    r"(?:^|/)(?:\.git|node_modules|vendor|third_party|site-packages|locales?|translations|dist|__pycache__|\.venv"
    r"|\.anchorline)/"
    r"|(?:^|/)(?:package-lock\.json|npm-shrinkwrap\.json|yarn\.lock|pnpm-lock\.yaml|bun\.lockb?|cargo\.lock|go\.sum"
    r"|poetry\.lock|uv\.lock|pdm\.lock|pipfile\.lock|composer\.lock|gemfile\.lock|flake\.lock|\.gitattributes)$"
    r"|\.(?:png|jpe?g|gif|ico|bmp|tiff?|svg|webp|avif|pdf|zip|gz|xz|bz2|zst|7z|rar|tar|tgz|jar|war|whl|woff2?|ttf|otf|eot"
    r"|mp[34]|m4a|ogg|wav|flac|mov|avi|mkv|webm|wasm|ipynb|po|mo|pot|snap|fits|npy|npz|pkl|parquet|h5|onnx|pt|bin"
    r"|safetensors|gguf|sqlite3?|db|exe|dll|so|dylib|a|o|obj|lib|class|pyc|pyd|map|min\.js|min\.css|bundle\.js"
    r"|pb\.go|g\.dart|designer\.cs)$|_pb2(?:_grpc)?\.pyi?$",
    re.IGNORECASE,
)
_SECRET = re.compile(
    r"(?:^|/)(?:\.env(?:[.-][^/]*)?|[^/]*\.env|\.envrc|\.netrc|_netrc|\.npmrc|\.pypirc|\.pgpass|\.htpasswd|\.dockercfg"
    r"|\.git-credentials|credentials(?:\.(?:json|ya?ml|toml|ini|xml|properties|csv|txt))?|secrets?\.(?:json|ya?ml|toml|ini"
    r"|xml|properties|txt|env|tfvars)|[^/]*\.(?:pem|key|p12|pfx|pkcs12|p8|jks|keystore|kdbx|asc|gpg|ppk|ovpn|tfstate"
    r"|tfvars|age|crt|cer|der)|id_(?:rsa|dsa|ecdsa|ed25519)[^/]*|[^/]*service[-_]?account[^/]*\.json)$"
    r"|(?:^|/)(?:\.ssh|\.aws|\.gnupg|\.azure|\.kube|\.docker)/",
    re.IGNORECASE,
)
_SOURCE = re.compile(
    r"\.(?:py|pyi|go|rs|tsx?|jsx?|mjs|cjs|vue|svelte|java|kt|kts|scala|swift|rb|php|c|cc|cpp|cxx|h|hh|hpp|m|mm|cs|fs|lua"
    r"|sh|bash|fish|zsh|ps1|ex|exs|erl|hs|ml|clj|dart|zig|nim|jl|r|pl|pm)$",
    re.IGNORECASE,
)


class Listed(NamedTuple):
    """A file as it is listed: its fingerprint is another one whenever its bytes may be others; `size` is bytes."""

    fingerprint: str
    size: int


class Snapshot(Protocol):
    """The files of a workspace at one moment."""

    def files(self) -> dict[str, Listed]:
        """Returns the files that count by their workspace-relative paths with forward slashes. Raises OSError."""
        ...

    def file(self, path: str) -> Listed | None:
        """Returns one file as `files` would list it, or None; what git ignores is not asked for here."""
        ...

    def read(self, path: str) -> bytes | None:
        """Returns the bytes of a file, or None where it is gone or does not count."""
        ...

    def history(self, known: History) -> History:
        """Returns the history of HEAD; `known` is what was read of it before."""
        ...


def counts(path: str) -> bool:
    """Says whether a file counts by its name: neither generated, vendored, binary nor one that holds secrets."""
    return not _LEFT_OUT.search(path) and not _SECRET.search(path)


def fits(path: str, size: int) -> bool:
    """Says whether a file is small enough to be indexed."""
    return size <= (LARGEST_SOURCE if _SOURCE.search(path) else LARGEST)
