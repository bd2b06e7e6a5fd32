"""Fingerprints: hashes that identify a content, and a prefix that was sent before.

xxh3-128 is not a cryptographic hash: fingerprints compare a developer's own prompts with each other, in
memory and in their own database. What is stored about content for good is hashed again with blake2b (store/).
"""

from xxhash import xxh3_128_digest

EMPTY = bytes(16)


class Chain:
    """The running hash of a prompt. It can be resumed at the prefix of any segment."""

    __slots__ = ("prefix",)

    def __init__(self, prefix: bytes = EMPTY) -> None:
        self.prefix = prefix

    def add(self, content: bytes, tag: bytes = b"") -> tuple[bytes, bytes]:
        """Takes in the next segment and returns (digest of its content, prefix hash up to its end), 16 bytes each.

        `tag` is what tells equal contents in different places apart, such as the role.
        """
        digest = xxh3_128_digest(content)
        self.prefix = prefix = xxh3_128_digest(self.prefix + tag + digest)
        return digest, prefix

    def extend(self, digest: bytes, tag: bytes = b"") -> bytes:
        """Takes in a segment of which only the digest is kept, and returns the prefix hash."""
        self.prefix = prefix = xxh3_128_digest(self.prefix + tag + digest)
        return prefix
