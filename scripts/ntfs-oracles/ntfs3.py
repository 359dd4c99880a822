"""Reads an NTFS volume by the Linux kernel's own driver, ntfs3, in a virtual machine without any acceleration.

It knows names, sizes, hashes, the four times, descriptors, attributes, extended attributes and link
groups; of a link neither what it holds, nor its attributes, nor when it was created; no flags of
extended attributes, no streams, no short names, no names with half of a surrogate pair. Needs
scripts/install-ntfs3-vm.sh.
"""

import decimal
import glob
import gzip
import lzma
import os
import re
import shutil
import stat
import struct

import canonical

HERE = os.path.dirname(os.path.abspath(__file__))
TOOLS = ("find", "stat", "sha256sum", "getfattr")
MODULES = ("virtio_blk", "ntfs3")
OUTPUT = 256 << 20
# The second disk takes the answer: the console would be slow, and other messages come in between.
INIT = r"""#!/bin/busybox sh
b=/bin/busybox
$b mount -t devtmpfs dev /dev
$b insmod /virtio_blk.ko
$b insmod /ntfs3.ko
{
    $b mount -t ntfs3 -o ro,iocharset=utf8 /dev/vda /m && cd /m && {
        /bin/find . -print0 | $b xargs -0 /bin/stat --printf '%f/%i/%s/%.9W/%.9Y/%.9X/%.9Z/%n\0'
        $b printf '==\0'
        /bin/find . -type f -print0 | $b xargs -0 -r /bin/sha256sum -z
        $b printf '==\0'
        for name in system.ntfs_attrib system.ntfs_security; do
            /bin/getfattr -R -P -h -n $name -e hex .
        done
        /bin/getfattr -R -P -h -d -m . -e hex .
        $b printf '\0==\0'
    }
} >/dev/vdb
$b sync
$b poweroff -f
"""
ESCAPE = re.compile(rb"\\([0-7]{3})")


def install(root, path):
    """A program of this machine and the libraries it needs."""
    shutil.copy(path, os.path.join(root, "bin"))
    for library in re.findall(r"/\S+", canonical.run("ldd", path).decode()):
        target = root + library
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copy(library, target)


def initrd(vm, place):
    root, archive = os.path.join(place, "root"), os.path.join(place, "initrd")
    for directory in ("bin", "dev", "m"):
        os.makedirs(os.path.join(root, directory))
    busybox = os.path.join(vm, "root/bin/busybox")
    shutil.copy(busybox, os.path.join(root, "bin"))
    for tool in TOOLS:
        install(root, os.path.realpath(shutil.which(tool)))
    for module in MODULES:
        packed, = glob.glob(os.path.join(vm, f"root/**/{module}.ko.xz"), recursive=True)
        with lzma.open(packed) as source, open(os.path.join(root, module + ".ko"), "wb") as target:
            shutil.copyfileobj(source, target)
    with open(os.open(os.path.join(root, "init"), os.O_CREAT | os.O_WRONLY, 0o755), "w", encoding="ascii") as file:
        file.write(INIT)
    names = "\n".join(os.path.relpath(os.path.join(at, name), root) for at, below, files in os.walk(root)
                      for name in below + files)
    with gzip.open(archive, "wb", compresslevel=1) as file:
        file.write(canonical.run(busybox, "cpio", "-o", "-H", "newc", cwd=root, input=names.encode()))
    return archive


def boot(vm, image, place):
    """What the machine writes on its second disk."""
    answer = os.path.join(place, "answer")
    with open(answer, "wb") as file:
        file.truncate(OUTPUT)
    environment, qemu = dict(os.environ), shutil.which("qemu-system-x86_64")
    data = []
    if qemu is None:
        qemu = os.path.join(vm, "root/usr/bin/qemu-system-x86_64")
        libraries = [os.path.join(vm, "root", below, "x86_64-linux-gnu") for below in ("lib", "usr/lib")]
        environment["LD_LIBRARY_PATH"] = ":".join(libraries)
        data = [word for name in ("qemu", "seabios") for word in ("-L", os.path.join(vm, "root/usr/share", name))]
    kernel, = glob.glob(os.path.join(vm, "root/boot/vmlinuz-*"))
    drive = "if=virtio,format=raw,file="
    command = [qemu, *data, "-accel", "tcg", "-m", "512", "-nodefaults", "-no-reboot", "-display", "none",
               "-serial", "stdio", "-kernel", kernel, "-initrd", initrd(vm, place),
               "-append", "console=ttyS0 quiet panic=-1",
               "-drive", f"readonly=on,{drive}{image}", "-drive", drive + answer]
    console = canonical.run(*command, env=environment, timeout=1800).decode(errors="replace")
    with open(answer, "rb") as file:
        parts = file.read().split(b"==\0")
    if len(parts) != 4:
        raise SystemExit(f"the virtual machine gave no complete answer; its console:\n{console[-3000:]}")
    return parts[:3]


def ticks(seconds):
    return int(decimal.Decimal(seconds) * 10_000_000) + canonical.UNIX_EPOCH


def text(path):
    """A path as find or getfattr prints it, below the root."""
    return path.decode("utf-8", "surrogatepass").removeprefix("./")


def stat_records(listing):
    """Path -> record, path -> inode, of stat's list."""
    records, inodes = {}, {}
    for line in filter(None, listing.split(b"\0")):
        mode, inode, size, created, written, accessed, changed, path = line.split(b"/", 7)
        mode, path = int(mode, 16), text(path)
        record = {"path": path}
        times = {"written": written, "accessed": accessed, "changed": changed}
        if not stat.S_ISLNK(mode):
            times["created"] = created
            record["kind"] = "dir" if stat.S_ISDIR(mode) else "file"
        # The driver gets the fractions of times before 1970 wrong.
        record.update((key, ticks(time.decode())) for key, time in times.items() if b"-" not in time)
        if stat.S_ISREG(mode):
            record["size"] = int(size)
        records[path], inodes[path] = record, int(inode)
    return records, inodes


def values(dump):
    """(path, name, bytes) of getfattr's output."""
    path = None
    for line in dump.strip(b"\0").splitlines():
        line = ESCAPE.sub(lambda found: bytes([int(found[1], 8)]), line)
        if line.startswith(b"# file: "):
            path = text(line[len(b"# file: "):])
        elif line:
            name, _, value = line.partition(b"=0x")
            yield path, name.decode("latin-1"), bytes.fromhex(value.decode())


def read(image):
    vm = canonical.run("sh", os.path.join(HERE, "..", "install-ntfs3-vm.sh"), "--where").decode().strip()
    with canonical.scratch("ntfs3") as place:
        listing, hashes, attributes = boot(vm, image, place)
    records, inodes = stat_records(listing)
    for line in filter(None, hashes.split(b"\0")):
        digest, path = line.split(b"  ", 1)
        records[text(path)]["sha256"] = digest.decode()
    for record in records.values():
        record["eas"] = []
    for path, name, value in values(attributes):
        record = records[path]
        if name == "system.ntfs_attrib":
            if "kind" in record:
                words, = struct.unpack("<I", value)
                reparse, sparse = words & canonical.REPARSE, words & canonical.SPARSE
                record["attributes"] = canonical.attributes(words, record["kind"] == "dir", reparse, sparse)
        elif name == "system.ntfs_security":
            record["sd"] = value.hex()
        else:
            record["eas"].append([name, 0, value.hex()])
    for record in records.values():
        record["eas"].sort()
    canonical.emit(list(records.values()), inodes)


if __name__ == "__main__":
    canonical.reader(__doc__, read)
