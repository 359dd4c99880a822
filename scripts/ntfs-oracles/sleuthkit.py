"""Reads an NTFS volume by The Sleuth Kit: fls for the names, istat and icat for each record.

It knows names, link groups, sizes, attributes, the four times, extended attributes, reparse points and
sizes of streams; no descriptors, and no name with half of a surrogate pair. A process for each
attribute: meant for small volumes.
"""

import os
import re
import struct

import canonical

SYSTEM = range(16)
NAME = re.compile(r"^\S+ (\d+)-\d+-\d+:\t(.*)$")
ATTRIBUTE = re.compile(r"^Type: \S+ \((\d+)-(\d+)\) +Name: (.*?) +(?:Non-)?Resident.*? size: (\d+)", re.M)
STANDARD, DATA, INDEX_ROOT, REPARSE_POINT, EA = 16, 128, 144, 192, 224


class Record:
    """An MFT record: its attributes as istat lists them."""

    def __init__(self, image, number):
        self.image, self.number = image, number
        text = canonical.run("istat", "-z", "UTC", image, str(number), env=dict(os.environ, TZ="UTC")).decode()
        self.attributes = [
            (int(kind), instance, name, int(size)) for kind, instance, name, size in ATTRIBUTE.findall(text)
        ]

    def raw(self, wanted):
        """The bytes of the first attribute of a type; nothing when there is none."""
        for kind, instance, _, _ in self.attributes:
            if kind == wanted:
                return canonical.run("icat", self.image, f"{self.number}-{kind}-{instance}")
        return b""


def describe(found):
    """The record of an object, without its path."""
    # From the attribute itself: istat gives no times before 1970.
    *times, words = struct.unpack_from("<QQQQI", found.raw(STANDARD))
    record = dict(zip(("created", "written", "changed", "accessed"), times))
    reparse = found.raw(REPARSE_POINT)
    directory = any(kind == INDEX_ROOT for kind, *_ in found.attributes)
    canonical.set_reparse(record, reparse)
    record["kind"] = canonical.kind(directory, record["reparse_tag"])
    record["attributes"] = canonical.attributes(words, directory, reparse, words & canonical.SPARSE)
    record["eas"] = canonical.parse_eas(found.raw(EA))
    streams = {name: size for kind, _, name, size in found.attributes if kind == DATA}
    unnamed = streams.pop("N/A", 0)
    if not directory:
        record["size"] = unnamed
    record["stream_sizes"] = sorted([name, size] for name, size in streams.items())
    return record


def read(image):
    numbers = {".": 5}
    for line in canonical.run("fls", "-r", "-p", "-u", image).decode("utf-8", "surrogateescape").splitlines():
        found = NAME.match(line)
        # A stream has a line of its own; a name cannot have a colon.
        if found and ":" not in found[2] and int(found[1]) not in SYSTEM and not found[2].startswith("$Extend/"):
            numbers[found[2]] = int(found[1])
    known = {number: describe(Record(image, number)) for number in set(numbers.values())}
    canonical.emit([dict(known[number], path=path) for path, number in numbers.items()], numbers)


if __name__ == "__main__":
    canonical.reader(__doc__, read)
