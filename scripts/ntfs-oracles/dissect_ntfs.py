"""Reads an NTFS volume by dissect.ntfs: attributes as they are on disk, with parsers in Python."""

import functools

from dissect.ntfs import NTFS
from dissect.ntfs.c_ntfs import ATTRIBUTE_TYPE_CODE as TYPE, FILE_NAME_DOS, c_ntfs
from dissect.ntfs.util import segment_reference

import canonical
import lone_surrogates

ROOT = 5
# Below them the files of the file system itself.
SYSTEM = range(16)
DATA_SPARSE = 0x8000


def data(record, kind):
    """The bytes of an attribute without a name; None: there is none."""
    return record.open("", kind).read() if record.has_stream("", kind) else None


def descriptor(ntfs, record, information):
    """The security descriptor: an attribute of its own, or the entry of $Secure with the file's id."""
    own = data(record, TYPE.SECURITY_DESCRIPTOR)
    if own is not None:
        return own
    return stored_descriptor(ntfs, information.security_id) if information.security_id else None


@functools.lru_cache(4096)
def stored_descriptor(ntfs, number):
    found = c_ntfs._SECURITY_DESCRIPTOR_HEADER(ntfs.secure.sii.search(number).data)
    stream = ntfs.secure.sds
    stream.seek(found.Offset)
    head = c_ntfs._SECURITY_DESCRIPTOR_HEADER(stream)
    if (head.SecurityId, head.Length) != (number, found.Length):
        raise SystemExit(f"security id {number}: $SDS and $SII differ")
    return stream.read(found.Length - len(head))


def describe(ntfs, record):
    """The record of an object, without its path."""
    attributes = record.attributes
    information = attributes[TYPE.STANDARD_INFORMATION][0].attribute
    stored, result = information.attr, {}
    result["created"], result["written"] = stored.CreationTime, stored.LastModificationTime
    result["accessed"], result["changed"] = stored.LastAccessTime, stored.LastChangeTime
    reparse = data(record, TYPE.REPARSE_POINT)
    canonical.set_reparse(result, reparse)
    result["kind"] = canonical.kind(record.is_dir(), result["reparse_tag"])
    unnamed = attributes.find("", TYPE.DATA)
    sparse = unnamed and unnamed[0].header.flags & DATA_SPARSE
    result["attributes"] = canonical.attributes(stored.FileAttributes, record.is_dir(), reparse, sparse)
    security = descriptor(ntfs, record, information)
    result["sd"] = security.hex() if security else None
    result["eas"] = canonical.parse_eas(data(record, TYPE.EA) or b"")
    shorts = [name.file_name for name in attributes[TYPE.FILE_NAME] if name.flags == FILE_NAME_DOS]
    result["short"] = shorts[0] if shorts else None
    if not record.is_dir():
        content = canonical.Content(record.open().read if unnamed else b"")
        canonical.set_content(result, content)
        if result["kind"] != "file":
            del result["sha256"], result["sha1"]
    names = {each.name for each in attributes[TYPE.DATA]} - {""}
    canonical.set_streams(result, [(name, canonical.Content(record.open(name).read)) for name in names])
    return result


def walk(record, path="."):
    """Every path and its record, by the indexes of the directories."""
    yield path, record
    if not record.is_dir():
        return
    for entry in record.index("$I30").entries():
        name = entry.attribute
        reference = entry.header.FileReference
        if name.flags == FILE_NAME_DOS or (path == "." and segment_reference(reference) in SYSTEM):
            continue
        below = entry.dereference()
        yield from walk(below, name.file_name if path == "." else f"{path}/{name.file_name}")


def read(image):
    lone_surrogates.allow()
    with open(image, "rb") as file:
        ntfs = NTFS(file)
        records, segments, known = [], {}, {}
        for path, record in walk(ntfs.mft.get(ROOT)):
            if record.segment not in known:
                known[record.segment] = describe(ntfs, record)
            segments[path] = record.segment
            records.append(dict(known[record.segment], path=path))
        canonical.emit(records, segments)


if __name__ == "__main__":
    canonical.reader(__doc__, read)
