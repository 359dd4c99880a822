"""Writes the merged layers of an image onto a fresh NTFS volume, through mkntfs and the ntfs-3g driver.

usage: write_mounted.py LAYOUT IMAGE [--utility-vm] [--size BYTES]

What the driver cannot keep: the change time becomes the time of writing; the attributes 0x800 and
0x4000 are dropped; 0x200 is kept only by a file that has holes.
"""

import argparse
import os
import struct

import canonical
import layers

HOLE = 64 << 10


def put_content(path, body):
    """Writes a stream; with holes where a sparse file has nothing but zeros."""
    archive, member = body
    sparse = int(member.pax_headers.get("MSWINDOWS.fileattr", "0")) & canonical.SPARSE
    read, size = layers.reading(body), 0
    with open(path, "wb", buffering=0) as file:
        for block in iter(lambda: read(HOLE), b""):
            if sparse and not any(block):
                file.seek(len(block), os.SEEK_CUR)
            else:
                file.write(block)
            size += len(block)
        file.truncate(size)


def create(root, objects):
    """Names, contents, streams, links; parents come before children."""
    first = {}
    for path in sorted(objects, key=lambda path: (path != ".", path)):
        thing, full = objects[path], place_of(root, path)
        if thing in first:
            os.link(first[thing], full, follow_symlinks=False)
            continue
        first[thing] = full
        if thing.directory:
            if path != ".":
                os.mkdir(full)
        elif thing.body:
            put_content(full, thing.body)
        else:
            open(full, "wb").close()
        for name, body in thing.streams:
            put_content(full + b":" + name.encode("utf-8", "surrogatepass"), body)
    return first


def place_of(root, path):
    return os.path.normpath(os.path.join(root, path.encode("utf-8", "surrogatepass")))


def ea_chain(entries):
    """The form on disk: every entry says its length, the last one too."""
    chain = b""
    for name, flags, value in entries:
        name, value = name.encode("latin-1"), bytes.fromhex(value)
        body = struct.pack("<BBH", flags, len(name), len(value)) + name + b"\0" + value
        body += bytes(-len(body) % 4)
        chain += struct.pack("<I", 4 + len(body)) + body
    return chain


def decorate(full, record):
    """Metadata in the order that survives: whatever changes a time before the times, a reparse point last."""

    def put(name, value):
        try:
            os.setxattr(full, "system.ntfs_" + name, value, follow_symlinks=False)
        except OSError as error:
            raise SystemExit(f"{os.fsdecode(full)}: cannot set {name} ({len(value)} bytes): {error}")

    if record["eas"]:
        put("ea", ea_chain(record["eas"]))
    if record.get("sd"):
        put("acl", bytes.fromhex(record["sd"]))
    put("attrib", struct.pack("<I", record["attributes"] & canonical.STORED or canonical.NORMAL))
    put("times", struct.pack("<4Q", *(record[key] for key in ("created", "written", "accessed", "changed"))))
    if record["reparse"]:
        put("reparse_data", bytes.fromhex(record["reparse"]))


def write(image, root):
    first = create(root, image.objects)
    # Children before parents, for a name made in a directory changes its times.
    for thing, full in sorted(first.items(), key=lambda pair: pair[1], reverse=True):
        if thing.record.keys() > {"kind"}:
            decorate(full, thing.record)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("layout", help="OCI layout directory")
    parser.add_argument("image", help="file to make")
    parser.add_argument("--utility-vm", action="store_true", help="UtilityVM/Files instead of Files")
    parser.add_argument("--size", type=int, default=2 << 30, help="bytes of the volume (sparse file)")
    arguments = parser.parse_args()
    with layers.Image(arguments.layout, arguments.utility_vm) as image:
        with open(arguments.image, "wb") as file:
            file.truncate(arguments.size)
        canonical.run("mkntfs", "-F", "-Q", "-q", "-s", "512", arguments.image)
        with canonical.mounted(arguments.image) as place:
            write(image, os.fsencode(place))


if __name__ == "__main__":
    main()
