"""Hashes that stand for a text in the database."""

import hashlib


def tag(data: bytes | str, key: bytes = b"") -> str:
    """Returns a tagged BLAKE2b hash of 16 bytes, with a key where guesses must not be confirmed."""
    content = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    return "b2:" + hashlib.blake2b(content, digest_size=16, key=key).hexdigest()
