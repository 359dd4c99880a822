"""Teaches dissect.ntfs the names that NTFS allows and Unicode does not: with half of a surrogate pair."""

import codecs

from dissect.cstruct.types.wchar import Wchar
from dissect.ntfs import index

CODEC = "wtf_16_le"


def decode(data, errors="strict"):
    return codecs.utf_16_le_decode(data, "surrogatepass", True)


def encode(text, errors="strict"):
    return codecs.utf_16_le_encode(text, "surrogatepass")


def compare(entry, value):
    """dissect's comparison of a name in an index with a searched one."""
    name = decode(entry.buf[66 : 66 + entry.buf[64] * 2])[0].upper()
    return index.Match.Equal if value == name else index.Match.Less if value < name else index.Match.Greater


def allow():
    codecs.register(lambda name: codecs.CodecInfo(encode, decode, name=CODEC) if name == CODEC else None)
    Wchar.__encoding_map__["<"] = CODEC
    index._cmp_filename = compare
