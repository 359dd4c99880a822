"""Checks a store against the layer tars it was unpacked from, sharing no code with winlayer.

usage: folder_oracle.py LAYOUT STORE

The tars are read by tarfile. The folders are read from the public descriptions of their parts: the
4-byte attribute word and sidecars of hcsshim's legacy.go, the records of MS-BKUP 2.2, the lists of
MS-FSCC 2.4.16 and 2.1.2. Every object a tar has must come back from the folder with the same
content and metadata, and the folder must hold nothing else. One line for each difference; exit
status 1 if there is any.
"""

import base64
import datetime
import gzip
import hashlib
import io
import json
import os
import struct
import subprocess
import sys
import tarfile
import zlib

SIDECAR = ".$wcidirs$"
OWN_FILES = {"layer.json", "layerchain.json", "layer-index.jsonl", "tombstones.txt"}
BCD = {"BCD": "bcd.bak", "BCD.LOG": "bcd.log.bak", "BCD.LOG1": "bcd.log1.bak", "BCD.LOG2": "bcd.log2.bak"}
HIVES = {"DEFAULT": "DefaultUser", "SAM": "Sam", "SECURITY": "Security", "SOFTWARE": "Software", "SYSTEM": "System"}
EPOCH = datetime.datetime(1970, 1, 1)


def blob(layout, digest):
    with open(os.path.join(layout, "blobs", *digest.split(":")), "rb") as file:
        return file.read()


def uncompressed(data):
    if data[:3] == b"\x1f\x8b\x08":
        return gzip.decompress(data)
    if data[:4] == b"\x28\xb5\x2f\xfd":
        return subprocess.run(["zstd", "-dc"], input=data, stdout=subprocess.PIPE, check=True).stdout
    return data


def ticks(text):
    """100 ns units since 1970 of a pax time."""
    sign = -1 if text.startswith("-") else 1
    seconds, _, fraction = text.lstrip("-").partition(".")
    return sign * (int(seconds) * 10_000_000 + int((fraction + "0000000")[:7]))


def rfc3339_ticks(text):
    whole, fraction = text.rstrip("Z").split(".")
    assert len(fraction) == 7, text
    passed = datetime.datetime.fromisoformat(whole) - EPOCH
    return (passed.days * 86400 + passed.seconds) * 10_000_000 + int(fraction)


def reparse_buffer(target, mount_point):
    """REPARSE_DATA_BUFFER as go-winio's EncodeReparsePoint lays it out."""
    target = target.replace("/", "\\")
    relative = False
    if target.startswith("\\\\?\\"):
        substitute = "\\??\\" + target[4:]
    elif target.startswith("\\\\"):
        substitute = "\\??\\UNC\\" + target[2:]
    elif len(target) >= 2 and target[0].isascii() and target[0].isalpha() and target[1] == ":":
        substitute = "\\??\\" + target
    else:
        substitute, relative = target, True
    first, second = substitute.encode("utf-16-le"), target.encode("utf-16-le")
    fields = struct.pack("<HHHH", 0, len(first), len(first) + 2, len(second))
    if not mount_point:
        fields += struct.pack("<I", relative)
    data = fields + first + b"\0\0" + second + b"\0\0"
    tag = 0xA0000003 if mount_point else 0xA000000C
    return struct.pack("<IHH", tag, len(data), 0) + data


def ea_list(data):
    found, offset = {}, 0
    while data:
        following, flags, name_length, value_length = struct.unpack_from("<IBBH", data, offset)
        name = data[offset + 8 : offset + 8 + name_length].decode("latin-1")
        start = offset + 9 + name_length
        assert flags == 0 and data[start - 1] == 0 and name not in found
        found[name] = data[start : start + value_length]
        if following == 0:
            break
        offset += following
    return found


def framed(data):
    """Attributes and records of a staged file: security, eas, reparse, data, streams."""
    found = {"attributes": struct.unpack_from("<I", data)[0], "streams": []}
    offset, order = 4, []
    while offset < len(data):
        kind, attributes, size, name_size = struct.unpack_from("<IIQI", data, offset)
        offset += 20
        name = data[offset : offset + name_size].decode("utf-16-le")
        offset += name_size
        payload = data[offset : offset + size]
        assert len(payload) == size and attributes == 0, "record cut short"
        offset += size
        order.append(kind)
        if kind == 4:
            assert name.startswith(":") and name.endswith(":$DATA"), name
            found["streams"].append((name[1:-6], payload))
        else:
            assert name_size == 0
            field = {1: "data", 2: "eas", 3: "security", 8: "reparse"}[kind]
            assert field not in found, field
            found[field] = ea_list(payload) if kind == 2 else payload
    rank = {3: 0, 2: 1, 8: 2, 1: 3, 4: 4}
    assert [rank[kind] for kind in order] == sorted(rank[kind] for kind in order), "order of records"
    return found


class Layer:
    """What a tar says should be in the folder."""

    def __init__(self, tar):
        self.objects, self.links, self.whiteouts, self.opaque = {}, [], [], []
        archive = tarfile.open(fileobj=io.BytesIO(tar), mode="r:", encoding="utf-8", errors="strict")
        owner = None
        for member in archive:
            name, pax = member.name.rstrip("/"), member.pax_headers
            parent, _, base = name.rpartition("/")
            body = archive.extractfile(member).read() if member.isreg() else b""
            if base == ".wh..wh..opq":
                self.opaque.append(parent)
            elif base.startswith(".wh."):
                self.whiteouts.append(parent + "/" + base[4:])
            elif member.islnk():
                self.links.append((name, member.linkname))
            elif member.isreg() and owner and name.startswith(owner + ":"):
                stream = name[len(owner) + 1 :]
                if stream.upper().endswith(":$DATA"):
                    stream = stream[:-6]
                self.objects[owner]["streams"].append((stream, body))
            else:
                self.objects[name] = self.object(member, pax, body)
                owner = name
        self.names = {name.lower() for name in self.objects} | {name.lower() for name, _ in self.links}

    @staticmethod
    def object(member, pax, body):
        # tarfile merges the header's mtime and the record's; the record's text is exact.
        written = ticks(pax["mtime"]) if "mtime" in pax else int(member.mtime) * 10_000_000
        times = {
            "created": ticks(pax["LIBARCHIVE.creationtime"]) if "LIBARCHIVE.creationtime" in pax else written,
            "accessed": ticks(pax["atime"]) if "atime" in pax else written,
            "written": written,
            "changed": ticks(pax["ctime"]) if "ctime" in pax else written,
        }
        attributes = int(pax.get("MSWINDOWS.fileattr", "0")) | (0x10 if member.isdir() else 0)
        prefix = "MSWINDOWS.xattr."
        # Python drops nothing of a value but needs it as text; base64 is.
        eas = {key[len(prefix) :]: base64.b64decode(pax[key]) for key in pax if key.startswith(prefix)}
        found = {"attributes": attributes, "streams": []}
        if eas:
            found["eas"] = eas
        if "MSWINDOWS.rawsd" in pax:
            found["security"] = base64.b64decode(pax["MSWINDOWS.rawsd"])
        if member.issym():
            found["reparse"] = reparse_buffer(member.linkname, "MSWINDOWS.mountpoint" in pax)
        if member.isreg():
            found["data"] = body
        kind = "directory" if member.isdir() else "link" if member.issym() else "file"
        return {"kind": kind, "times": times, "metadata": found, "streams": found["streams"]}

    def defines_below(self, path):
        return any(name.startswith(path.lower() + "/") for name in self.names)


class Check:
    def __init__(self, layout, store):
        self.store, self.differences, self.checked = store, 0, 0
        with open(os.path.join(layout, "index.json"), "rb") as file:
            manifest = json.loads(blob(layout, json.load(file)["manifests"][0]["digest"]))
        config = json.loads(blob(layout, manifest["config"]["digest"]))
        chain, parents, view = None, [], {}
        for layer, diff_id in zip(manifest["layers"], config["rootfs"]["diff_ids"]):
            tar = uncompressed(blob(layout, layer["digest"]))
            self.equal("the DiffID of", layer["digest"], "sha256:" + hashlib.sha256(tar).hexdigest(), diff_id)
            joined = diff_id if chain is None else None
            chain = joined or "sha256:" + hashlib.sha256(f"{chain} {diff_id}".encode()).hexdigest()
            folder = os.path.join(store, "layers", chain.split(":")[1])
            self.folder, self.chain = folder, chain
            self.layer(Layer(tar), parents, view, layer, diff_id)
            parents.insert(0, folder)

    def say(self, *words):
        self.differences += 1
        print(os.path.basename(self.folder)[:12] if hasattr(self, "folder") else "", *words)

    def equal(self, what, where, found, expected):
        self.checked += 1
        if found != expected:
            self.say(what, where, "is", repr(found)[:300], "expected", repr(expected)[:300])

    def read(self, path, folder=None):
        with open(os.path.join(folder or self.folder, path), "rb") as file:
            return file.read()

    def layer(self, layer, parents, view, descriptor, diff_id):
        index = {}
        for text in self.read("layer-index.jsonl").decode().splitlines():
            line = json.loads(text)
            if line["path"] in index:
                self.say("index names twice", line["path"])
            index[line["path"]] = line
        record = json.loads(self.read("layer.json"))
        for key, expected in [
            ("digest", descriptor["digest"]),
            ("diff_id", diff_id),
            ("chain_id", self.chain),
            ("media_type", descriptor["mediaType"]),
            ("compressed_bytes", descriptor["size"]),
            ("role", "diff" if parents else "base"),
        ]:
            self.equal("layer.json", key, record[key], expected)
        self.equal("the parents in", "layerchain.json", json.loads(self.read("layerchain.json")), parents)
        expected_files = set(OWN_FILES) if parents else OWN_FILES - {"tombstones.txt"}
        for name, entry in layer.objects.items():
            expected_files.add(self.object(name, entry, index.get(name)))
            if name.upper().startswith("UTILITYVM/FILES/EFI/MICROSOFT/BOOT/"):
                backup = BCD.get(name.rsplit("/", 1)[1].upper())
                if backup:
                    expected_files.add(backup)
                    self.equal("the copy", backup, self.read(backup), entry["metadata"]["data"])
        self.links(layer, record, index, expected_files)
        self.base_hives(layer, parents, expected_files)
        for path, line in index.items():
            if line.get("cloned") or line.get("implicit"):
                path += SIDECAR if line["kind"].startswith("directory") else ""
                expected_files.add(path)
            data = self.read(path + (SIDECAR if line["kind"].startswith("directory") and not path.endswith(SIDECAR) else ""))
            self.equal("size of", path, len(data), line["size"])
            self.equal("CRC-32 of", path, zlib.crc32(data), line["crc32"])
        found_files = set()
        for directory, directories, files in os.walk(self.folder):
            below = os.path.relpath(directory, self.folder)
            join = lambda name: name if below == "." else f"{below}/{name}"
            found_files.update(join(name) for name in files)
            for name in map(join, directories):
                if os.path.islink(os.path.join(self.folder, name)):
                    self.say("symbolic link", name)
                if name + SIDECAR not in expected_files and name != "Hives":
                    self.say("directory without entry", name)
        self.equal("the files of", "the folder", sorted(found_files), sorted(expected_files))
        if parents:
            self.tombstones(layer, view)
        self.apply(layer, view)

    def object(self, name, entry, line):
        path = name if entry["kind"] == "file" or self.is_file_link(entry) else name + SIDECAR
        if path != name and not os.path.isdir(os.path.join(self.folder, name)):
            self.say("no directory", name)
        written = os.stat(os.path.join(self.folder, path)).st_mtime_ns
        self.equal("mtime of", path, written, entry["times"]["written"] * 100)
        data = self.read(path)
        if name.upper().startswith("HIVES/"):
            self.equal("hive", name, data, entry["metadata"]["data"])
        else:
            self.equal("content and metadata of", path, framed(data), entry["metadata"])
        if line is None:
            self.say("not in the index:", name)
            return path
        kinds = {"directory": {"directory"}, "file": {"file"}, "link": {"file_link", "directory_link"}}
        self.equal("kind of", name, line["kind"] in kinds[entry["kind"]], True)
        self.equal("attributes of", name, line["attributes"], entry["metadata"]["attributes"])
        times = {key: rfc3339_ticks(text) for key, text in line["times"].items()}
        self.equal("times of", name, times, entry["times"])
        return path

    def base_hives(self, layer, parents, expected_files):
        """The full hives of a base, carried up; what a delta makes of them is for others to say."""
        for name, stem in HIVES.items():
            base = f"Hives/{stem}_Base"
            if not parents:
                entry = layer.objects[f"Files/Windows/System32/config/{name}"]
                self.equal("hive", base, self.read(base), entry["metadata"]["data"])
            elif f"Hives/{stem}_Delta" not in layer.objects:
                same = os.path.samefile(*(os.path.join(folder, base) for folder in (self.folder, parents[0])))
                self.equal("shared with the layer below:", base, same, True)
            expected_files.add(base)
        if not parents:
            expected_files.add("layout")
            self.equal("text of", "layout", self.read("layout"), b"vhd-with-hives\n")

    @staticmethod
    def is_file_link(entry):
        return entry["kind"] == "link" and not entry["metadata"]["attributes"] & 0x10

    def links(self, layer, record, index, expected_files):
        found = [(link["path"], link["target"].lower()) for link in record["hard_links"]]
        self.equal("hard links of", "layer.json", found, [(n, t.lower()) for n, t in layer.links])
        for link in record["hard_links"]:
            expected_files.add(link["path"])
            home = os.path.join(self.store, "layers", link["found_in"].split(":")[1])
            one = os.stat(os.path.join(self.folder, link["path"]))
            other = os.stat(os.path.join(home, link["target"]))
            self.equal("the file of", link["path"], one.st_ino, other.st_ino)
            self.equal("kind of", link["path"], index[link["path"]]["kind"], "hard_link")

    def tombstones(self, layer, view):
        lines = self.read("tombstones.txt").decode("utf-8").split("\n")
        self.equal("head of", "tombstones.txt", (lines[0], lines[-1]), ("\ufeffVersion 1.0", ""))
        expected = set()
        for path in layer.whiteouts:
            if not path.lower().startswith("files/"):
                continue
            if path.lower() not in layer.names:
                expected.add(path)
            elif layer.objects.get(path, {}).get("kind") == "directory":
                expected.update(self.hidden(layer, view, path))
        for path in layer.opaque:
            expected.update(self.hidden(layer, view, path))
        expected = {path[len("Files") :].replace("/", "\\") for path in expected}
        self.equal("the deletions in", "tombstones.txt", lines[1:-1], sorted(expected))

    def hidden(self, layer, view, directory):
        """The topmost names below a directory that this layer does not make anew."""
        for low, (path, kind) in view.items():
            parent = low.rpartition("/")[0]
            if parent.startswith(directory.lower()) and (parent + "/").startswith(directory.lower() + "/"):
                above = parent
                while above != directory.lower() and above in layer.names:
                    above = above.rpartition("/")[0]
                if above == directory.lower() and low not in layer.names and not layer.defines_below(low):
                    yield path

    @staticmethod
    def apply(layer, view):
        def drop(path, itself=True):
            low = path.lower()
            for name in [n for n in view if n.startswith(low + "/") or (itself and n == low)]:
                del view[name]

        for path in layer.whiteouts:
            drop(path)
        for path in layer.opaque:
            drop(path, itself=False)
        for name, entry in layer.objects.items():
            if entry["kind"] != "directory":
                drop(name)
            view[name.lower()] = (view.get(name.lower(), (name,))[0], entry["kind"])
        for name, _ in layer.links:
            drop(name)
            view[name.lower()] = (name, "file")


def main():
    check = Check(sys.argv[1], os.path.realpath(sys.argv[2]))
    print(f"{check.checked} facts compared, {check.differences} differences")
    sys.exit(check.differences > 0 or check.checked < 100)


main()
