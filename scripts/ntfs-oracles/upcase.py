"""Case folding as NTFS does it, by the table of a volume that mkntfs made."""

import array
import os
import sys

from canonical import run, scratch


def load():
    with scratch("upcase") as place:
        image = os.path.join(place, "image")
        with open(image, "wb") as file:
            file.truncate(8 << 20)
        run("mkntfs", "-F", "-Q", "-q", image)
        table = array.array("H", run("ntfscat", image, "$UpCase"))
    if sys.byteorder == "big":
        table.byteswap()
    if len(table) != 65536:
        raise SystemExit(f"$UpCase has {len(table)} units")
    return table


class Folder:
    """Turns paths into what NTFS compares."""

    def __init__(self):
        self.table = load()

    def __call__(self, path):
        if path.isascii():
            return path.upper()
        codec = f"utf-16-{sys.byteorder[0]}e"
        units = array.array("H", path.encode(codec, "surrogatepass"))
        return array.array("H", (self.table[unit] for unit in units)).tobytes().decode(codec, "surrogatepass")
