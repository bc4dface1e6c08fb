"""Alters ``.goss`` files on purpose; section numbers are those of runtime/FORMAT.md."""

from __future__ import annotations

import struct
import zlib

HEADER_BYTES, ENTRY_BYTES = 64, 32
SECTIONS = ("strings", "tensors", "nodes", "attributes", "metadata", "weights")
RECORD_BYTES = {"tensors": 80, "nodes": 40, "metadata": 8}


class GossFile:
    """A model file's bytes, with a way to each field and checksums that can be made right again."""

    def __init__(self, content: bytes) -> None:
        self.bytes = bytearray(content)

    def entry(self, section: str) -> int:
        """Offset of a section's entry in the table (section 2)."""
        return HEADER_BYTES + SECTIONS.index(section) * ENTRY_BYTES

    def section(self, section: str) -> tuple[int, int]:
        """Offset and size of a section."""
        return struct.unpack_from("<QQ", self.bytes, self.entry(section) + 8)

    def record(self, section: str, index: int) -> int:
        """Offset of a tensor's, node's or metadata pair's record."""
        return self.section(section)[0] + index * RECORD_BYTES[section]

    def put(self, offset: int, value: int, size: int = 4) -> GossFile:
        self.bytes[offset : offset + size] = value.to_bytes(size, "little")
        return self

    def get(self, offset: int, size: int = 4) -> int:
        return int.from_bytes(self.bytes[offset : offset + size], "little")

    def repair(self) -> GossFile:
        """Recompute every checksum, so that only the alteration itself can be noticed."""
        for section in SECTIONS:
            offset, size = self.section(section)
            self.put(self.entry(section) + 4, zlib.crc32(self.bytes[offset : offset + size]))
        return self.repair_header()

    def repair_header(self) -> GossFile:
        table_end = HEADER_BYTES + len(SECTIONS) * ENTRY_BYTES
        return self.put(20, zlib.crc32(self.bytes[24:table_end], zlib.crc32(self.bytes[:20])))
