"""Reads an NTFS volume by wimlib: captures it into a WIM and reads the WIM's own list.

It knows descriptors, link groups, hashes (SHA-1), reparse points (tag and hash), streams and short
names; times only to the second, the change time and extended attributes not at all.
"""

import datetime
import os
import re

import canonical

RULER = "-" * 76
FIELD = re.compile(r"^([A-Z][A-Za-z ]*?) *= (.*)$")
NAMED = re.compile(r'^\tNamed data stream "(.*)":$')
TIMES = {"created_s": "Creation Time", "written_s": "Last Write Time", "accessed_s": "Last Access Time"}
EMPTY_SHA1 = canonical.Content(b"").sha1


def capture(image, place):
    """Captures every file: the usual settings leave some out and turn targets of links."""
    settings, wim = os.path.join(place, "settings"), os.path.join(place, "wim")
    with open(settings, "w", encoding="ascii") as file:
        file.write("[ExclusionList]\n")
    canonical.run("wimcapture", "--compress=none", "--norpfix", f"--config={settings}", image, wim)
    listing = canonical.run("wimdir", "--detailed", wim, env=dict(os.environ, TZ="UTC"))
    return listing.decode("utf-8", "surrogatepass")


def seconds(text):
    """FILETIME of "Sat May 08 08:15:00 2021 UTC", in whole seconds since 1601."""
    parsed = datetime.datetime.strptime(text, "%a %b %d %H:%M:%S %Y UTC")
    return round((parsed - datetime.datetime(1601, 1, 1)).total_seconds())


def sha1(text):
    digits = text.removeprefix("0x")
    return EMPTY_SHA1 if set(digits) == {"0"} else digits


def sections(lines):
    """(kind or name of the stream, fields), the object's own fields first."""
    current = ("object", {})
    for line in lines:
        named = NAMED.match(line)
        if line.startswith("\t"):
            yield current
            current = (("named", named[1]) if named else line.strip("\t:"), {})
        elif field := FIELD.match(line):
            current[1].setdefault(field[1], field[2])
    yield current


def describe(text):
    """The record of an object, and its link group (None: no links)."""
    (_, fields), *streams = sections(text.splitlines())
    words, tag = int(fields["Attributes"], 16), fields.get("Reparse Tag")
    tag = int(tag, 16) if tag else None
    directory = bool(words & canonical.DIRECTORY)
    record = {
        "path": fields["Full Path"][1:-1].lstrip("/") or ".",
        "kind": canonical.kind(directory, tag),
        "attributes": canonical.attributes(words, directory, tag, words & canonical.SPARSE),
        "sd": fields.get("Security Descriptor"),
        "short": fields["Short Name"][1:-1] or None,
        "reparse_tag": tag,
        "reparse_sha1": None,
        "streams_sha1": [],
    }
    record.update({key: seconds(fields[name]) for key, name in TIMES.items()})
    for what, found in streams:
        size, digest = int(found["Uncompressed size"].split()[0]), sha1(found["Hash"])
        if what == "Reparse point stream":
            record["reparse_sha1"] = digest
        elif what == "Unnamed data stream":
            if not directory:
                record["size"], record["sha1"] = size, digest
        elif what[0] == "named":
            record["streams_sha1"].append([what[1], size, digest])
        else:
            raise SystemExit(f"{record['path']}: wimdir says something not understood: {what}")
    record["streams_sha1"].sort()
    group = fields["Link Group ID"]
    return record, None if int(group, 16) == 0 else group


def read(image):
    with canonical.scratch("wim") as place:
        listing = capture(image, place)
    records, groups = [], {}
    for text in listing.split(RULER)[1:]:
        record, group = describe(text)
        groups[record["path"]] = group or record["path"]
        records.append(record)
    canonical.emit(records, groups)


if __name__ == "__main__":
    canonical.reader(__doc__, read)
