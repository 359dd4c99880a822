"""Reads an NTFS volume through the ntfs-3g driver: files by the file system, the rest by system.ntfs_* attributes."""

import ctypes
import errno
import os
import stat
import struct

import canonical

LIBC = ctypes.CDLL(None, use_errno=True)
LARGEST = 64 << 10


def attribute(path, name):
    """An extended attribute; None: it has none. One large buffer: a small one is EIO, and a size may change."""
    buffer = ctypes.create_string_buffer(LARGEST)
    size = LIBC.lgetxattr(path, name, buffer, LARGEST)
    if size >= 0:
        return buffer.raw[:size]
    error = ctypes.get_errno()
    if error in (errno.ENODATA, errno.EOPNOTSUPP):
        return None
    raise OSError(error, f"{os.strerror(error)} ({name.decode()})", os.fsdecode(path))


class Volume:
    """A mounted volume, and its image for what cannot be opened in the mount."""

    def __init__(self, image):
        self.image = image

    def content(self, path, found, stream=b""):
        """Size and hashes of a stream. The driver takes system files of 0 or 1 byte for pipes and sockets,
        and follows reparse points; their streams come from the image by inode number."""
        if stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode):
            with open(path + b":" + stream if stream else path, "rb", buffering=0) as file:
                return canonical.Content(file.read)
        named = ["-n", os.fsdecode(stream)] if stream else []
        return canonical.Content(canonical.run("ntfscat", "-f", "-i", str(found.st_ino), *named, self.image))

    def describe(self, path, found, root):
        """The record of an object, without its path."""
        record = {}
        words = struct.unpack("<I", attribute(path, b"system.ntfs_attrib"))[0]
        times = struct.unpack("<QQQQ", attribute(path, b"system.ntfs_times"))
        record.update(zip(("created", "written", "accessed", "changed"), times))
        reparse = attribute(path, b"system.ntfs_reparse_data")
        canonical.set_reparse(record, reparse)
        directory = bool(words & canonical.DIRECTORY)
        record["kind"] = canonical.kind(directory, record["reparse_tag"])
        record["attributes"] = canonical.attributes(words, directory, reparse, words & canonical.SPARSE)
        if bool(words & canonical.REPARSE) != bool(reparse):
            raise SystemExit(f"{os.fsdecode(path)}: the attribute for reparse points does not match its reparse point")
        descriptor = attribute(path, b"system.ntfs_acl")
        record["sd"] = descriptor.hex() if descriptor else None
        record["eas"] = canonical.parse_eas(attribute(path, b"system.ntfs_ea") or b"")
        # Of the root the driver refuses to say that it has none.
        short = None if root else attribute(path, b"system.ntfs_dos_name")
        record["short"] = short.decode("utf-8", "surrogatepass") if short else None
        if not directory and record["kind"] == "file":
            canonical.set_content(record, self.content(path, found))
        listed = attribute(path, b"ntfs.streams.list") or b""
        names = [name for name in listed.split(b"\0") if name]
        streams = [(name.decode("utf-8", "surrogatepass"), self.content(path, found, name)) for name in names]
        canonical.set_streams(record, streams)
        return record


def walk(root, path=b"."):
    """Every path below the root, its place in the mount and what lstat says of it."""
    full = os.path.normpath(os.path.join(root, path))
    found = os.lstat(full)
    yield path, full, found
    if stat.S_ISDIR(found.st_mode):
        for name in sorted(os.listdir(full)):
            yield from walk(root, name if path == b"." else path + b"/" + name)


def read(image):
    with canonical.mounted(image, "ro") as place:
        volume, records, inodes, known = Volume(image), [], {}, {}
        for path, full, found in walk(os.fsencode(place)):
            if found.st_ino not in known:
                known[found.st_ino] = volume.describe(full, found, path == b".")
            name = path.decode("utf-8", "surrogatepass")
            inodes[name] = found.st_ino
            records.append(dict(known[found.st_ino], path=name))
        canonical.emit(records, inodes)


if __name__ == "__main__":
    canonical.reader(__doc__, read)
