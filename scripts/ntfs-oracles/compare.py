"""Compares two dumps by the fields that both have.

usage: compare.py A B [--ignore KEY,...] [--mask-attributes HEX] [--require KEY,...]

Exit status 1 for a difference; also when a field was never compared that --require names, or nothing was.
"""

import argparse
import collections
import json
import os
import sys

SHOWN = 20


def load(path):
    records = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            record = json.loads(line)
            if record["path"] in records:
                raise SystemExit(f"{path}: has {record['path']} twice")
            records[record["path"]] = record
    return records


def short(value):
    text = json.dumps(value)
    return text if len(text) <= 160 else f"{text[:140]}... ({len(text)} characters)"


def differences(left, right, names, ignored, mask, compared):
    """Lines of text, counting the values compared by field."""
    for path in sorted(left.keys() | right.keys()):
        if path not in left or path not in right:
            yield f"{path}: only in {names[0] if path in left else names[1]}"
            continue
        one, other = left[path], right[path]
        for key in sorted((one.keys() | other.keys()) - ignored - {"path"}):
            if key not in one or key not in other:
                continue
            values = one[key], other[key]
            if key == "attributes":
                values = tuple(value & mask for value in values)
            compared[key] += 1
            if values[0] != values[1]:
                yield f"{path}: {key} is {short(values[0])} in {names[0]}, {short(values[1])} in {names[1]}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("a")
    parser.add_argument("b")
    parser.add_argument("--ignore", default="", help="fields to leave out, with commas between")
    parser.add_argument("--mask-attributes", type=lambda text: int(text, 16), default=0xFFFFFFFF, metavar="HEX")
    parser.add_argument("--require", default="size", help="fields that must have been compared")
    arguments = parser.parse_args()
    sys.stdout.reconfigure(errors="backslashreplace")
    ignored = set(filter(None, arguments.ignore.split(",")))
    left, right = load(arguments.a), load(arguments.b)
    names = [os.path.basename(arguments.a), os.path.basename(arguments.b)]
    compared = collections.Counter()
    found = list(differences(left, right, names, ignored, arguments.mask_attributes, compared))
    for line in found[:SHOWN]:
        print(line)
    if len(found) > SHOWN:
        print(f"... and {len(found) - SHOWN} more")
    counts = " ".join(f"{key}:{count}" for key, count in sorted(compared.items()))
    print(f"{names[0]} and {names[1]}: {len(left.keys() & right.keys())} paths, {len(found)} differences; {counts}")
    missing = [key for key in filter(None, arguments.require.split(",")) if not compared[key]]
    if missing:
        print(f"not compared at all: {' '.join(missing)}")
    sys.exit(bool(found or missing or not compared))


main()
