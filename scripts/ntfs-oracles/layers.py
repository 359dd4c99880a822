"""What the tars of an image say a container's volume holds, by tarfile and the description of the format.

usage: layers.py LAYOUT [--utility-vm] [--skip-content GLOB]...

The layers are merged bottom up. A name is what NTFS takes for the same name; its first spelling stays.
Nothing that is not understood is passed over: an unknown MSWINDOWS record ends the run.
"""

import argparse
import base64
import fnmatch
import json
import os
import shutil
import struct
import subprocess
import tarfile
import zlib

import canonical
import upcase

OPAQUE, WHITEOUT = ".wh..wh..opq", ".wh."
TOP = {"FILES": "Files", "UTILITYVM": "UtilityVM", "HIVES": "Hives"}
ROOTS = {False: "Files", True: "UtilityVM/Files"}
EA = "MSWINDOWS.xattr."
KNOWN = {"MSWINDOWS.fileattr", "MSWINDOWS.rawsd", "MSWINDOWS.mountpoint"}


def blob(layout, descriptor):
    return os.path.join(layout, "blobs", *descriptor["digest"].split(":"))


def document(layout, descriptor):
    with open(blob(layout, descriptor), "rb") as file:
        return json.load(file)


def manifest(layout):
    with open(os.path.join(layout, "index.json"), "rb") as file:
        found = json.load(file)
    while "manifests" in found:
        found = document(layout, found["manifests"][0])
    return found


def unpack_blob(path, target):
    """The tar of a layer: the blob itself, or what gzip or zstd make of it."""
    with open(path, "rb") as source, open(target, "wb") as output:
        magic = source.read(4)
        source.seek(0)
        if magic[:3] == b"\x1f\x8b\x08":
            gunzip(source, output)
        elif magic == b"\x28\xb5\x2f\xfd":
            subprocess.run(["zstd", "-dcqf", path], stdout=output, check=True)
        else:
            shutil.copyfileobj(source, output)


def gunzip(source, output):
    state = zlib.decompressobj(31)
    for block in iter(lambda: source.read(canonical.BLOCK), b""):
        while block:
            output.write(state.decompress(block))
            block = state.unused_data
            if block:
                state = zlib.decompressobj(31)
    if not state.eof:
        raise SystemExit(f"{source.name}: gzip stream cut short")


def ticks(text):
    """FILETIME of a pax time."""
    sign = -1 if text.startswith("-") else 1
    seconds, _, fraction = text.lstrip("-").partition(".")
    return sign * (int(seconds) * 10_000_000 + int((fraction + "0000000")[:7])) + canonical.UNIX_EPOCH


def reparse_buffer(target, mount_point):
    """REPARSE_DATA_BUFFER (MS-FSCC 2.1.2.4, 2.1.2.5) as the Windows importer makes it of a link's target."""
    target, relative = target.replace("/", "\\"), False
    if target.startswith("\\\\?\\"):
        substitute = "\\??\\" + target[4:]
    elif target.startswith("\\\\"):
        substitute = "\\??\\UNC\\" + target[2:]
    elif target[:1].isascii() and target[:1].isalpha() and target[1:2] == ":":
        substitute = "\\??\\" + target
    else:
        substitute, relative = target, True
    names = [name.encode("utf-16-le", "surrogatepass") for name in (substitute, target)]
    fields = struct.pack("<HHHH", 0, len(names[0]), len(names[0]) + 2, len(names[1]))
    if not mount_point:
        fields += struct.pack("<I", relative)
    data = fields + names[0] + b"\0\0" + names[1] + b"\0\0"
    tag = canonical.MOUNT_POINT if mount_point else canonical.SYMLINK
    return struct.pack("<IHH", tag, len(data), 0) + data


class Object:
    """One file, directory or link, under however many names. `record` has everything but its names."""

    def __init__(self, archive, member):
        self.body = (archive, member) if member.isreg() else None
        self.streams = []
        self.directory = True
        self.record = self.describe(member)

    @classmethod
    def implied(cls):
        """A directory that has no entry of its own."""
        made = cls.__new__(cls)
        made.body, made.streams, made.directory, made.record = None, [], True, {"kind": "dir"}
        return made

    def describe(self, member):
        pax = member.pax_headers
        for key in pax:
            if key.startswith("MSWINDOWS.") and key not in KNOWN and not key.startswith(EA):
                raise SystemExit(f"{member.name}: {key} is not understood")
        if not (member.isreg() or member.isdir() or member.issym()):
            raise SystemExit(f"{member.name}: entries of type {member.type!r} are not understood")
        said = int(pax.get("MSWINDOWS.fileattr", "0"))
        self.directory = member.isdir() or (member.issym() and bool(said & canonical.DIRECTORY))
        record, buffer = {}, None
        if member.issym():
            buffer = reparse_buffer(member.linkname, "MSWINDOWS.mountpoint" in pax)
        canonical.set_reparse(record, buffer)
        record["kind"] = canonical.kind(self.directory, record["reparse_tag"])
        sparse = member.isreg() and said & canonical.SPARSE
        record["attributes"] = canonical.attributes(said, self.directory, buffer, sparse)
        written = ticks(pax["mtime"]) if "mtime" in pax else int(member.mtime) * 10_000_000 + canonical.UNIX_EPOCH
        record["written"] = written
        for field, key in [("created", "LIBARCHIVE.creationtime"), ("accessed", "atime"), ("changed", "ctime")]:
            record[field] = ticks(pax[key]) if key in pax else written
        if "MSWINDOWS.rawsd" in pax:
            record["sd"] = base64.b64decode(pax["MSWINDOWS.rawsd"], validate=True).hex()
        record["eas"] = sorted(
            [key[len(EA):], 0, base64.b64decode(pax[key], validate=True).hex()] for key in pax if key.startswith(EA)
        )
        return record

    def read_contents(self):
        """Fills in sizes and hashes."""
        if self.body:
            canonical.set_content(self.record, canonical.Content(reading(self.body)))
        elif self.record["kind"] == "link-file":
            self.record["size"] = 0
        if self.record.keys() > {"kind"}:
            canonical.set_streams(self.record, [(n, canonical.Content(reading(body))) for n, body in self.streams])


def reading(body):
    """A function that reads on in a tar member's data."""
    archive, member = body
    return archive.extractfile(member).read


class Layer:
    """The entries of one tar, by kind of entry."""

    def __init__(self, path, fold):
        self.objects, self.links, self.whiteouts, self.opaque = [], [], [], []
        owner, fold_owner = None, None
        archive = tarfile.open(path, mode="r:", encoding="utf-8", errors="surrogatepass")
        for member in archive:
            name = clean(member.name)
            parent, _, base = name.rpartition("/")
            if name == "":
                continue
            if base == OPAQUE:
                self.opaque.append(parent)
            elif base.startswith(WHITEOUT):
                self.whiteouts.append(f"{parent}/{base[len(WHITEOUT):]}")
            elif member.islnk():
                self.links.append((name, clean(member.linkname)))
            elif member.isreg() and owner and fold(name).startswith(fold_owner + ":"):
                stream = name[len(fold_owner) + 1:]
                if stream.upper().endswith(":$DATA"):
                    stream = stream[:-6]
                owner.streams.append((stream, (archive, member)))
            else:
                owner, fold_owner = Object(archive, member), fold(name)
                self.objects.append((name, owner))


def clean(name):
    """A tar path without what means nothing, its first component spelt as the format does."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise SystemExit(f"{name}: leads out of the layer")
    if parts:
        parts[0] = TOP.get(parts[0].upper(), parts[0])
    return "/".join(parts)


class View:
    """The merged layers: folded path -> (path, Object)."""

    def __init__(self, fold):
        self.fold, self.names = fold, {}

    def drop(self, path, itself=True):
        key = self.fold(path)
        below = key + "/"
        if key in self.names and not self.names[key][1].directory and itself:
            del self.names[key]
            return
        for name in [name for name in self.names if name.startswith(below) or (itself and name == key)]:
            del self.names[name]

    def put(self, path, thing):
        key = self.fold(path)
        parent = path.rpartition("/")[0]
        if parent:
            path = f"{self.directory(parent)}/{path.rpartition('/')[2]}"
        old = self.names.get(key)
        if old:
            path = old[0]
            if thing.record["kind"] != "dir" or old[1].record["kind"] != "dir":
                self.drop(path)
        self.names[key] = (path, thing)

    def directory(self, path):
        """The path of a directory as it is spelt, made when it is missing."""
        found = self.names.get(self.fold(path))
        if found is None:
            self.put(path, Object.implied())
            found = self.names[self.fold(path)]
        if found[1].record["kind"] != "dir":
            raise SystemExit(f"{path}: has something below it, but is a {found[1].record['kind']}")
        return found[0]

    def add(self, layer):
        before = dict(self.names)
        for path in layer.whiteouts:
            self.drop(path)
        for path in layer.opaque:
            self.drop(path, itself=False)
        for path, thing in layer.objects:
            self.put(path, thing)
        for path, target in layer.links:
            key = self.fold(target)
            found = self.names.get(key) or before.get(key)
            if found is None:
                raise SystemExit(f"{path}: links to {target}, which does not exist")
            self.put(path, found[1])


class Image:
    """The merged view of an image's layers below one root. A context: the unpacked tars go with it."""

    def __init__(self, layout, utility_vm=False):
        self.layout, self.root = layout, ROOTS[utility_vm]
        self.place = canonical.scratch("layers")

    def __enter__(self):
        directory = self.place.__enter__()
        fold = upcase.Folder()
        view = View(fold)
        for number, descriptor in enumerate(manifest(self.layout)["layers"]):
            tar = os.path.join(directory, f"{number}.tar")
            unpack_blob(blob(self.layout, descriptor), tar)
            view.add(Layer(tar, fold))
        prefix = fold(self.root) + "/"
        self.objects = {
            path[len(prefix):]: thing for key, (path, thing) in view.names.items() if key.startswith(prefix)
        }
        if fold(self.root) not in view.names:
            raise SystemExit(f"the image has no {self.root}")
        self.objects["."] = view.names[fold(self.root)][1]
        for thing in set(self.objects.values()):
            thing.read_contents()
        return self

    def __exit__(self, *error):
        self.place.__exit__(*error)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("layout", help="OCI layout directory")
    parser.add_argument("--utility-vm", action="store_true", help="UtilityVM/Files instead of Files")
    parser.add_argument("--skip-content", action="append", default=[], metavar="GLOB",
                        help="say nothing of the content of these paths")
    arguments = parser.parse_args()
    with Image(arguments.layout, arguments.utility_vm) as image:
        records = []
        for path, thing in image.objects.items():
            record = dict(thing.record, path=path)
            if any(fnmatch.fnmatch(path.upper(), glob.upper()) for glob in arguments.skip_content):
                for key in ("size", "sha256", "sha1"):
                    record.pop(key, None)
            records.append(record)
        canonical.emit(records, {path: id(thing) for path, thing in image.objects.items()})


if __name__ == "__main__":
    main()
