"""The form in which every reader says what an NTFS volume holds: one JSON object a line, one line a path.

    path        below the root, "/" between names; the root itself is "."
    kind        file, dir, link-file, link-dir (a link is a symbolic link or a mount point)
    size        bytes of the unnamed stream (files; 0 for a link)
    sha256      of the unnamed stream (files)
    attributes  FILE_ATTRIBUTE_* in ATTRIBUTES, with 0x10, 0x400, 0x200 as the object itself is
    created, written, accessed, changed    FILETIME ticks (100 ns since 1601)
    sd          the self-relative security descriptor, hex; null: none
    eas         [[name, flags, hex of the value]...], sorted
    reparse     the whole reparse buffer, hex; null: none
    streams     [[name, size, sha256]...] of the named streams, sorted
    names       how many paths the object has
    links       every path of the object, sorted; only with more than one
    short       the 8.3 name beside the long one; null: none

A reader that cannot know a field leaves it out. Some fields are for the readers that know no more:
sha1 and streams_sha1 (SHA-1 in the place of SHA-256); stream_sizes; sd_size; ea_size (of $EA);
reparse_tag, reparse_size, reparse_sha1 (of the bytes behind the 8-byte head) and substitute (the name
in it); created_s and the like, whole seconds.
"""

import argparse
import contextlib
import hashlib
import json
import os
import struct
import subprocess
import sys
import tempfile
import uuid

STORED = 0x31A7
NORMAL = 0x80
DIRECTORY, SPARSE, REPARSE = 0x10, 0x200, 0x400
ATTRIBUTES = (STORED & ~NORMAL) | DIRECTORY | SPARSE | REPARSE

TIMES = {"created", "written", "accessed", "changed"}
SYMLINK, MOUNT_POINT = 0xA000000C, 0xA0000003
UNIX_EPOCH = 116444736000000000
BLOCK = 1 << 20


def attributes(value, directory, reparse, sparse):
    """The canonical attributes of an object whose $STANDARD_INFORMATION has `value`."""
    kept = value & STORED & ~NORMAL
    return kept | DIRECTORY * bool(directory) | REPARSE * bool(reparse) | SPARSE * bool(sparse)


def kind(directory, reparse_tag):
    what = "dir" if directory else "file"
    return f"link-{what}" if reparse_tag in (SYMLINK, MOUNT_POINT) else what


class Content:
    """Size and hashes of a stream."""

    def __init__(self, source):
        """`source`: bytes, or a function that reads at most so many bytes."""
        self.size, hashes = 0, (hashlib.sha256(), hashlib.sha1())
        blocks = [source] if isinstance(source, bytes) else iter(lambda: source(BLOCK), b"")
        for block in blocks:
            self.size += len(block)
            for each in hashes:
                each.update(block)
        self.sha256, self.sha1 = (each.hexdigest() for each in hashes)


def set_content(record, content):
    record["size"], record["sha256"], record["sha1"] = content.size, content.sha256, content.sha1


def set_streams(record, streams):
    """`streams`: pairs of name and Content."""
    record["streams"] = sorted([name, found.size, found.sha256] for name, found in streams)
    record["streams_sha1"] = sorted([name, found.size, found.sha1] for name, found in streams)


def set_reparse(record, buffer):
    record["reparse"] = buffer.hex() if buffer else None
    record["reparse_tag"] = reparse_tag(buffer)
    record["reparse_sha1"] = hashlib.sha1(buffer[8:]).hexdigest() if buffer else None
    record["substitute"] = substitute_name(buffer)


def reparse_tag(buffer):
    return struct.unpack_from("<I", buffer)[0] if buffer else None


def substitute_name(buffer):
    tag = reparse_tag(buffer)
    if tag not in (SYMLINK, MOUNT_POINT):
        return None
    offset, length = struct.unpack_from("<HH", buffer, 8)
    start = (20 if tag == SYMLINK else 16) + offset
    return buffer[start : start + length].decode("utf-16-le", "surrogatepass")


def parse_eas(data):
    """The entries of an $EA attribute: each says where the next is, the last one its own end (or 0)."""
    found, offset = [], 0
    while offset < len(data):
        following, flags, name_length, value_length = struct.unpack_from("<IBBH", data, offset)
        start = offset + 9 + name_length
        name, value = data[offset + 8 : start - 1], data[start : start + value_length]
        if data[start - 1 : start] != b"\0" or len(value) != value_length:
            raise ValueError(f"extended attribute at {offset} of {len(data)} bytes is cut short")
        found.append([name.decode("latin-1"), flags, value.hex()])
        if following == 0:
            break
        if following < 9 + name_length + value_length or following % 4:
            raise ValueError(f"extended attribute at {offset}: the next is said to be {following} bytes on")
        offset += following
    return sorted(found)


def derive(record):
    """Adds the fields that follow from others."""
    for key in TIMES & record.keys():
        record[key + "_s"] = record[key] // 10_000_000
    for key, size in [("sd", "sd_size"), ("reparse", "reparse_size")]:
        if key in record:
            record[size] = len(record[key]) // 2 if record[key] else 0
    if "eas" in record:
        entries = [9 + len(name) + len(value) // 2 for name, _, value in record["eas"]]
        record["ea_size"] = sum(entry + -entry % 4 for entry in entries)
    if "streams" in record:
        record["stream_sizes"] = [stream[:2] for stream in record["streams"]]


def emit(records, links_of=None):
    """Prints the records; `links_of` names the object of a path, where the reader knows it."""
    groups = {}
    if links_of is not None:
        for record in records:
            groups.setdefault(links_of[record["path"]], []).append(record["path"])
    for record in sorted(records, key=lambda record: record["path"]):
        derive(record)
        if links_of is not None:
            names = groups[links_of[record["path"]]]
            record["names"] = len(names)
            if len(names) > 1:
                record["links"] = sorted(names)
        print(json.dumps(record, sort_keys=True))


def run(*command, **more):
    """The standard output of a tool that must succeed."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)
    if done.returncode != 0:
        said = (done.stderr + done.stdout).decode(errors="replace")[-2000:]
        raise SystemExit(f"{' '.join(command)}: exit status {done.returncode}\n{said}")
    return done.stdout


def scratch(prefix):
    """A temporary directory that goes away by itself."""
    return tempfile.TemporaryDirectory(prefix=f"ntfs-oracle-{prefix}-")


def basic_data_partition(head):
    """Offset and length of the first basic data partition in the table at a disk's head; None: there is no table."""
    header = head[512:1024]
    if header[:8] != b"EFI PART":
        return None
    first, = struct.unpack_from("<Q", header, 72)
    count, size = struct.unpack_from("<II", header, 80)
    wanted = uuid.UUID("EBD0A0A2-B9E5-4433-87C0-68B6B72699C7").bytes_le
    for at in range(first * 512, first * 512 + count * size, size):
        if head[at : at + 16] == wanted:
            start, end = struct.unpack_from("<QQ", head, at + 32)
            return start * 512, (end + 1 - start) * 512
    raise SystemExit("no basic data partition in this GPT")


@contextlib.contextmanager
def volume(image, offset=None):
    """A file that is just the NTFS volume, out of a volume image, a raw disk or a VHDX."""
    with scratch("volume") as place:
        with open(image, "rb") as file:
            head = file.read(BLOCK)
        disk = {"driver": "raw", "file": {"driver": "file", "filename": image}}
        if head[:8] == b"vhdxfile":
            disk = {"driver": "vhdx", "file": disk["file"]}
            start = os.path.join(place, "head")
            run("qemu-img", "dd", "-f", "vhdx", "-O", "raw", f"bs={BLOCK}", "count=1", f"if={image}", f"of={start}")
            with open(start, "rb") as file:
                head = file.read()
        length = None
        if offset is None:
            offset, length = basic_data_partition(head) or (0, None)
        if offset == 0 and disk["driver"] == "raw":
            yield image
            return
        inner = os.path.join(place, "volume")
        window = {"driver": "raw", "offset": offset, "file": disk} | ({"size": length} if length else {})
        run("qemu-img", "convert", "-O", "raw", "json:" + json.dumps(window), inner)
        yield inner


@contextlib.contextmanager
def mounted(image, *options):
    """The volume through the ntfs-3g driver, streams as "file:stream"."""
    with scratch("mount") as place:
        run("ntfs-3g", "-o", ",".join(("streams_interface=windows",) + options), image, place)
        try:
            yield place
        finally:
            run("umount", place)


def reader(description, read):
    """The main program of a reader: IMAGE [--offset BYTES]."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("image", help="NTFS volume, raw disk with a GPT, or VHDX")
    parser.add_argument("--offset", type=int, help="where the volume begins, in bytes")
    arguments = parser.parse_args()
    with volume(arguments.image, arguments.offset) as plain:
        read(plain)
    sys.stdout.flush()
