"""Reads an NTFS volume by 7-Zip's own parser: the technical list with streams.

It knows names, sizes, the four times, attributes, inodes, short names, the length of descriptors and
the names in links; no hashes.
"""

import datetime
import os
import re

import canonical

LETTERS = dict(zip("RHSDANTsLCOIE", (1, 2, 4, 0x10, 0x20, 0x80, 0x100, 0x200, 0x400, 0x800, 0x1000, 0x2000, 0x4000)))
# How it shows reparse points that are no links: the tag, the size, the first bytes.
FOREIGN = re.compile(r"[A-Z0-9_]+(:[0-9A-F]{8})?:\d+")
TIMES = {"created": "Created", "written": "Modified", "accessed": "Accessed", "changed": "Metadata Changed"}


def ticks(text):
    whole, fraction = text.split(".")
    passed = datetime.datetime.fromisoformat(whole) - datetime.datetime(1601, 1, 1)
    return (passed.days * 86400 + passed.seconds) * 10_000_000 + int(fraction.ljust(7, "0"))


def describe(fields):
    """The record of an object, without its path."""
    words = sum(LETTERS[letter] for letter in fields["Attributes"])
    directory = fields["Folder"] == "+"
    reparse = bool(words & canonical.REPARSE)
    record = {"attributes": canonical.attributes(words, directory, reparse, words & canonical.SPARSE)}
    record.update({key: ticks(fields[name]) for key, name in TIMES.items()})
    linked = reparse and not FOREIGN.match(fields["Link"])
    record["kind"] = canonical.kind(directory, canonical.SYMLINK if linked else None)
    if not directory:
        record["size"] = int(fields["Size"])
    if fields["NT Security"]:
        record["sd_size"] = int(fields["NT Security"].split()[-1])
    record["short"] = fields["Short Name"] or None
    record["stream_sizes"] = []
    return record


def items(text):
    """The fields of every path in the list."""
    for block in text.split("\n----------\n", 1)[1].strip("\n").split("\n\n"):
        yield dict(line.split(" = ", 1) if " = " in line else (line[:-2], "") for line in block.splitlines())


def read(image):
    listed = canonical.run("7zz", "l", "-slt", "-sns", image, env=dict(os.environ, TZ="UTC"))
    text = listed.decode("utf-8", "surrogatepass")
    records, inodes, streams = {}, {}, {}
    for fields in items(text):
        path = fields["Path"]
        if path.startswith("[SYSTEM]/"):
            continue
        if fields["Alternate Stream"] == "+":
            owner, _, name = path.rpartition(":")
            streams.setdefault(owner, []).append([name, int(fields["Size"])])
            continue
        if path in records:
            raise SystemExit(f"{path}: listed twice")
        records[path], inodes[path] = dict(describe(fields), path=path), fields["iNode"]
    for path, found in streams.items():
        records[path]["stream_sizes"] = sorted(found)
    # The list leaves out the root.
    records["."], inodes["."] = {"path": "."}, "root"
    canonical.emit(list(records.values()), inodes)


if __name__ == "__main__":
    canonical.reader(__doc__, read)
