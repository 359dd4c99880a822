"""Prints what another reader sees in a hive, one line a key or value, sorted.

    dump.py READER FILE [LOG]

    K <path>
    V <path> <name> <type> <data in hex>

Fields are separated by tabs; control characters of names are written as \\u{hex}. Readers that show
decoded data only are turned back into bytes the way Windows stores them.
"""

import base64
import csv
import logging
import re
import struct
import subprocess
import sys
import urllib.parse
import xml.etree.ElementTree

TYPES = ["NONE", "SZ", "EXPAND_SZ", "BINARY", "DWORD", "DWORD_BE", "LINK", "MULTI_SZ", "RSRC_LIST", "RSRC_DESC", "RSRC_REQ_LIST", "QWORD"]


def shown(name):
    return "".join(c if c.isprintable() or not (ord(c) < 32 or 127 <= ord(c) < 160) else "\\u{%x}" % ord(c) for c in name)


def key(path):
    return "K\t" + "\\".join(shown(part) for part in path)


def value(path, name, kind, data):
    return "\t".join(["V", "\\".join(shown(part) for part in path), shown(name), str(kind), data.hex()])


def text(string):
    return (string + "\0").encode("utf-16-le")


def texts(strings):
    return b"".join(text(string) for string in strings) + b"\0\0"


def run(*words):
    result = subprocess.run(words, capture_output=True, check=False)
    if result.returncode or b"WARN" in result.stderr or b"ERROR" in result.stderr:
        sys.exit(f"{words[0]} refused the hive ({result.returncode}): {result.stderr.decode(errors='replace')}")
    return result.stdout


def python_registry(file):
    from Registry import Registry

    def walk(node, path):
        yield key(path)
        for item in node.values():
            name = "" if item.name() == "(default)" else item.name()
            yield value(path, name, item.value_type(), bytes(item.raw_data()))
        for child in node.subkeys():
            yield from walk(child, path + [child.name()])

    return walk(Registry.Registry(file).root(), [])


def regipy(file):
    from regipy.registry import RegistryHive

    logging.disable()

    def stored(kind, data):
        if isinstance(data, bytes):
            return data
        if kind == "REG_DWORD":
            return struct.pack("<I", data)
        if kind == "REG_QWORD":
            return struct.pack("<Q", data)
        if kind == "REG_MULTI_SZ":
            return texts(data)
        return text(data.rstrip("\0"))

    def walk(node, path):
        yield key(path)
        for item in node.iter_values(trim_values=False) if node.values_count else []:
            assert not item.is_corrupted, item
            name = "" if item.name == "(default)" else item.name
            yield value(path, name, TYPES.index(item.value_type[4:].replace("DWORD_BIG_ENDIAN", "DWORD_BE")), stored(item.value_type, item.value))
        for child in node.iter_subkeys() if node.subkey_count else []:
            yield from walk(child, path + [child.name])

    return walk(RegistryHive(file).root, [])


def regipy_replayed(file, log):
    """As regipy, after it applied the log."""
    from regipy.recovery import apply_transaction_logs

    replayed, _ = apply_transaction_logs(file, log, restored_hive_path=file + ".replayed")
    return regipy(replayed)


def hivexml(file):
    kinds = {"none": 0, "string": 1, "expand": 2, "binary": 3, "int32": 4, "int32be": 5, "link": 6, "string-list": 7, "int64": 11}

    def stored(node, kind):
        data = node.get("value", "")
        if node.get("encoding") == "base64":
            return base64.b64decode(data)
        if kind in (1, 2, 6):
            return text(data)
        if kind == 7:
            return texts(child.text for child in node if child.text)
        return struct.pack({4: "<i", 5: ">i", 11: "<q"}[kind], int(data))

    def walk(node, path):
        yield key(path)
        for child in node:
            if child.tag == "value":
                kind = kinds[child.get("type")]
                yield value(path, child.get("key", ""), kind, stored(child, kind))
        for child in node:
            if child.tag == "node":
                yield from walk(child, path + [child.get("name")])

    return walk(xml.etree.ElementTree.fromstring(run("hivexml", file)).find("node"), [])


def reg_file(lines, prefix):
    """The lines of a .reg file."""

    def stored(data):
        if data.startswith("dword:"):
            return 4, struct.pack("<I", int(data[6:], 16))
        if data.startswith('"'):
            return 1, text(unquoted(data))
        kind, digits = re.fullmatch(r"hex(?:\(([0-9a-f]+)\))?:(.*)", data).groups()
        return int(kind, 16) if kind else 3, bytes.fromhex(digits.replace(",", ""))

    def unquoted(string):
        return re.sub(r"\\(.)", r"\1", string[1:-1])

    path = None
    for line in lines:
        if line.startswith("["):
            path = [part for part in re.sub(prefix, "", line[1:-1]).split("\\") if part]
            yield key(path)
        elif path is not None and line:
            name, data = re.fullmatch(r'(@|"(?:[^"\\]|\\.)*")=(.*)', line).groups()
            yield value(path, "" if name == "@" else unquoted(name), *stored(data))


def decoded(line):
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("latin-1")


def hivexregedit(file):
    output = run("hivexregedit", "--export", file, "\\")
    return reg_file([decoded(line) for line in output.splitlines()], "^")


def reged(file):
    subprocess.run(["reged", "-x", file, "H", "\\", file + ".reg"], capture_output=True, check=False)
    with open(file + ".reg", encoding="latin-1", newline="") as export:
        lines = export.read().replace("\\\r\n", "").splitlines()
    return reg_file([line.replace(",  ", ",") for line in lines], r"^H(\\ROOT)?")


def reglookup(file):
    def stored(kind, data):
        if kind in ("SZ", "EXPAND_SZ", "LINK"):
            return text(plain(data))
        if kind == "MULTI_SZ":
            return texts(plain(part) for part in data.split("|"))
        if kind == "DWORD":
            return struct.pack("<I", int(data, 16))
        if kind == "QWORD":
            return struct.pack("<Q", int(data, 16))
        return urllib.parse.unquote_to_bytes(data)

    def plain(quoted):
        return urllib.parse.unquote(quoted)

    for line in csv.reader(run("reglookup", "-H", file).decode().splitlines()):
        path = [plain(part) for part in line[0].split("/")[1:] if part or line[1] != "KEY"]
        if line[1] == "KEY":
            yield key(path)
        else:
            name = path.pop()
            yield value(path, name, TYPES.index(line[1]), stored(line[1], line[2]))


sys.stdout.reconfigure(encoding="utf-8", errors="surrogatepass")
print("\n".join(sorted(globals()[sys.argv[1].replace("-", "_")](*sys.argv[2:]))))
