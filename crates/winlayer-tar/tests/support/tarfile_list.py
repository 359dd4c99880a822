"""Lists tar archives as Python's tarfile reads them.

stdin: for each archive, its length as 4 bytes big-endian, then its bytes.
stdout: for each archive a line "ok" or "error ...", then one line per entry
(kind, name and link in hex, size, CRC-32), then an empty line.
"""

import io
import sys
import tarfile
import zlib

KINDS = {
    tarfile.REGTYPE: "f",
    tarfile.AREGTYPE: "f",
    tarfile.DIRTYPE: "d",
    tarfile.SYMTYPE: "l",
    tarfile.LNKTYPE: "h",
}


def hexed(text):
    return text.encode("utf-8", "surrogateescape").hex() or "-"


def listing(data):
    stream = io.BytesIO(data)
    with tarfile.open(
        fileobj=stream, mode="r:", encoding="utf-8", errors="surrogateescape"
    ) as archive:
        for member in archive:
            kind = KINDS.get(member.type, "?")
            body = b""
            if kind == "f":
                body = archive.extractfile(member).read()
            link = member.linkname if kind in "lh" else ""
            yield "%s %s %s %d %d" % (
                kind,
                hexed(member.name),
                hexed(link),
                member.size,
                zlib.crc32(body),
            )


def main():
    while True:
        prefix = sys.stdin.buffer.read(4)
        if len(prefix) < 4:
            break
        data = sys.stdin.buffer.read(int.from_bytes(prefix, "big"))
        try:
            lines = list(listing(data))
            print("ok")
            for line in lines:
                print(line)
        except Exception as error:  # every failure is an answer
            print("error", type(error).__name__, str(error).replace("\n", " "))
        print()


main()
