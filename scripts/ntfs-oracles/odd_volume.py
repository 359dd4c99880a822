"""Makes, by mkntfs and ntfs-3g, a volume with what no image's tar has but an NTFS volume may: attribute
lists (hundreds of names, streams and runs), a flagged and a large extended attribute, a short name,
reparse points over data and of foreign kinds, half of a surrogate pair.

usage: odd_volume.py IMAGE
"""

import os
import struct
import sys

import canonical
import write_mounted

NAMES, STREAMS, RUNS = 300, 150, 400
WCI, WCI_1 = 0x80000018, 0x90001018


def touch(path, content=b""):
    with open(path, "wb", buffering=0) as file:
        file.write(content)


def put(path, name, value):
    os.setxattr(path, "system.ntfs_" + name, value, follow_symlinks=False)


def reparse(tag):
    return struct.pack("<IHH30x", tag, 30, 0)


def write(root):
    directory, names, streams = (os.path.join(root, name) for name in (b"directory", b"names", b"streams"))
    os.mkdir(directory)
    touch(names, b"x" * 5000)
    touch(streams, b"y")
    for number in range(NAMES):
        os.link(names, os.path.join(directory, b"a name long enough to fill the record soon %d" % number))
        touch(os.path.join(directory, b"plain %d" % number))
    for number in range(STREAMS):
        touch(streams + b":stream %d" % number, b"z" * number * 10)
    with open(os.path.join(root, b"runs"), "wb", buffering=0) as file:
        for number in range(RUNS):
            file.seek(number << 17)
            file.write(b"f" * 100)
    attributes = os.path.join(root, b"attributes")
    touch(attributes)
    entries = [["BIG", 0, "71" * 30000], ["NEEDED", 0x80, "00"], ["EMPTY", 0, ""]]
    put(attributes, "ea", write_mounted.ea_chain(entries))
    short = os.path.join(root, b"a name with a short one.text")
    touch(short)
    put(short, "dos_name", b"ANAMEW~1.TEX")
    placeholder, below = os.path.join(root, b"placeholder"), os.path.join(root, b"placeholder directory")
    touch(placeholder, b"data")
    put(placeholder, "reparse_data", reparse(WCI))
    os.mkdir(below)
    put(below, "reparse_data", reparse(WCI_1))
    touch(os.path.join(root, b"half \xed\xa0\x80 pair"))


def main():
    image = sys.argv[1]
    with open(image, "wb") as file:
        file.truncate(128 << 20)
    canonical.run("mkntfs", "-F", "-Q", "-q", image)
    with canonical.mounted(image) as place:
        write(os.fsencode(place))


if __name__ == "__main__":
    main()
