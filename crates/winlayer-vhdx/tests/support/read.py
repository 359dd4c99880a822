"""Writes the virtual disk in a VHDX file, seen through its parents, to a raw file.

usage: read.py libvhdi|dissect all|OFFSET+LENGTH RAW CHILD [PARENT ...]     parents: topmost first, for libvhdi
"""

import sys


def with_libvhdi(paths):
    import pyvhdi

    disks = []
    for path in paths:
        disk = pyvhdi.file()
        disk.open(path)
        disks.append(disk)
    for child, parent in zip(disks, disks[1:]):
        child.set_parent(parent)
    return disks[0], disks[0].media_size


def with_dissect(paths):
    from pathlib import Path

    from dissect.hypervisor.disk.vhdx import VHDX

    disk = VHDX(Path(paths[0]))
    return disk, disk.size


reader, window, raw, *paths = sys.argv[1:]
disk, left = {"libvhdi": with_libvhdi, "dissect": with_dissect}[reader](paths)
if window != "all":
    offset, left = map(int, window.split("+"))
    disk.seek(offset)
with open(raw, "wb") as out:
    while left > 0:
        data = disk.read(min(left, 1 << 20))
        if not data:
            sys.exit(f"{reader}: {left} bytes missing")
        out.write(data)
        left -= len(data)
