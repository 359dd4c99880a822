"""Proves the oracles on a volume that winlayer had no part in: the sample image's tars, written by a
mounted ntfs-3g, must read back as the tars say through every reader; a fault must not go unseen; and of
a volume with what tars do not have all readers must say the same.

usage: selfcheck.py [WINLAYER]    (default: target/release/winlayer; it only makes the sample image)
"""

import os
import struct
import subprocess
import sys

from dissect.ntfs import NTFS

import canonical

HERE = os.path.dirname(os.path.abspath(__file__))
READERS = {
    # The reader, and what it must have compared with the tars.
    "mount": "sha256,sd,eas,reparse,streams,names,links,created,written,accessed,attributes,kind,size",
    "wim": "sha1,sd,reparse_tag,reparse_sha1,streams_sha1,names,links,created_s,written_s,accessed_s,attributes,kind",
    "dissect_ntfs": "sha256,sd,eas,reparse,streams,names,links,created,written,accessed,attributes,kind,size",
    "libfsntfs": "sha256,ea_size,reparse_size,substitute,streams,names,links,created,written,accessed,attributes",
    "sevenzip": "size,stream_sizes,sd_size,names,links,created,written,accessed,attributes,kind",
    "sleuthkit": "size,eas,reparse,stream_sizes,names,links,created,written,accessed,attributes,kind",
}
# The readers that can read whatever a volume holds.
COMPLETE = ("wim", "dissect_ntfs", "libfsntfs", "sevenzip")
KERNEL = "sha256,sd,eas,names,links,created,written,accessed,attributes,kind,size"
INSTALL_KERNEL = os.path.join(HERE, "..", "install-ntfs3-vm.sh")
# The driver sets the change time itself; what it set, all readers must still agree on.
NOT_KEPT = "changed,changed_s"


def script(name, *arguments, output=None):
    command = [sys.executable, os.path.join(HERE, name + ".py"), *arguments]
    with open(output or os.devnull, "wb") as file:
        done = subprocess.run(command, stdout=file if output else None)
    if done.returncode:
        raise SystemExit(f"selfcheck: {' '.join(command)}: exit status {done.returncode}")


def fails(name, *arguments):
    command = [sys.executable, os.path.join(HERE, name + ".py"), *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 1:
        raise SystemExit(f"{' '.join(command)}: ends with {done.returncode} on a faulty volume\n{done.stdout.decode()}")


def everything_agrees(place, layout, image):
    layers = os.path.join(place, "layers")
    script("layers", layout, output=layers)
    script("write_mounted", layout, image, "--size", str(256 << 20))
    script("checks", image)
    readers = dict(READERS)
    if subprocess.run(["sh", INSTALL_KERNEL, "--check"], stderr=subprocess.DEVNULL).returncode == 0:
        readers["ntfs3"] = KERNEL
    else:
        print("selfcheck: without the kernel's driver (scripts/install-ntfs3-vm.sh fetches it)")
    for name, fields in readers.items():
        dump = os.path.join(place, name)
        script(name, image, output=dump)
        script("compare", layers, dump, "--ignore", NOT_KEPT, "--require", fields)
        script("compare", os.path.join(place, "mount"), dump, "--require", "size,names")
    return layers


def odd_volumes_agree(place):
    image, mount = os.path.join(place, "odd"), os.path.join(place, "odd-mount")
    script("odd_volume", image)
    script("checks", image)
    script("mount", image, output=mount)
    for name in COMPLETE:
        dump = os.path.join(place, "odd-" + name)
        script(name, image, output=dump)
        script("compare", mount, dump, "--require", "size,names,links,stream_sizes" if name != "wim" else "sha1,links")


def attribute_place(record, kind):
    """Offset in the record of the value of a resident attribute."""
    header = record.attributes[kind][0].header
    return header.offset + struct.unpack_from("<H", record.data, header.offset + 0x14)[0]


def mutations(ntfs):
    """(what, offset in the image, new bytes), each one field's change that other checkers miss."""
    runs = ntfs.mft.get(0).dataruns()

    def in_image(record, offset):
        if (offset + 2) % 512 < 4:
            raise SystemExit("this mutation hits an update sequence")
        cluster, rest = divmod(record.segment * ntfs._record_size + offset, ntfs.cluster_size)
        for start, length in runs:
            if cluster < length:
                return (start + cluster) * ntfs.cluster_size + rest
            cluster -= length
        raise SystemExit("record outside $MFT")

    program = ntfs.mft.get("Windows/System32/cmd.exe")
    link = ntfs.mft.get("ProgramData/Winlayer/Links/dangling")
    standard = attribute_place(program, 0x10)
    yield "link count", in_image(program, 0x12), b"\x07\x00"
    yield "security id", in_image(program, standard + 0x34), b"\x99\x09\x00\x00"
    yield "reparse flag", in_image(link, attribute_place(link, 0x10) + 0x20), b"\x20\x00\x00\x00"
    yield "packed size of EAs", in_image(program, attribute_place(program, 0xD0)), b"\x01\x00"
    yield "reparse tag", in_image(link, attribute_place(link, 0xC0)), b"\x1d"


def faults_are_seen(place, layers, image):
    with open(image, "rb") as file:
        planned = list(mutations(NTFS(file)))
    for what, offset, new in planned:
        with open(image, "r+b") as file:
            file.seek(offset)
            old = file.read(len(new))
            if old == new:
                raise SystemExit(f"the mutation of the {what} changes nothing")
            file.seek(offset)
            file.write(new)
            file.flush()
            fails("structure", image)
            file.seek(offset)
            file.write(old)
    script("structure", image)
    altered = os.path.join(place, "altered")
    with open(layers, encoding="utf-8") as source, open(altered, "w", encoding="utf-8") as target:
        target.write(source.read().replace('"written": 1', '"written": 2', 1))
    fails("compare", layers, altered)
    empty = os.path.join(place, "empty")
    open(empty, "w", encoding="utf-8").close()
    fails("compare", empty, empty)


def main():
    default = os.path.join(HERE, "..", "..", "target", "release", "winlayer")
    winlayer = sys.argv[1] if len(sys.argv) > 1 else default
    with canonical.scratch("selfcheck") as place:
        layout, image = os.path.join(place, "image"), os.path.join(place, "volume")
        canonical.run(winlayer, "sample", f"oci:{layout}")
        layers = everything_agrees(place, layout, image)
        faults_are_seen(place, layers, image)
        odd_volumes_agree(place)
    print("selfcheck: the readers agree with the tars and see what is changed")


if __name__ == "__main__":
    main()
