"""Reads an NTFS volume by libfsntfs (its Python module): a parser in C of its own.

It knows no bytes of extended attributes, only their size; of reparse points the size, and the name in
a symbolic link. It looks for descriptors in the root of $Secure:$SII alone (for a node below it begins
again at the root), so it knows them on volumes with few of them.
"""

import pyfsntfs

import canonical

SYSTEM = range(16)
SECURE = 9
INDEX_ALLOCATION, REPARSE_POINT, EA = 0xA0, 0xC0, 0xE0
RECORD_NUMBER = (1 << 48) - 1


def size_of(entry, kind):
    """Bytes of the attributes of a type."""
    return sum(each.data_size for each in entry.attributes if each.attribute_type == kind)


def finds_descriptors(volume):
    names = {(each.attribute_type, each.attribute_name) for each in volume.get_file_entry(SECURE).attributes}
    return (INDEX_ALLOCATION, "$SII") not in names


def describe(entry, descriptors):
    """The record of an object, without its path."""
    record = {
        "created": entry.get_creation_time_as_integer(),
        "written": entry.get_modification_time_as_integer(),
        "accessed": entry.get_access_time_as_integer(),
        "changed": entry.get_entry_modification_time_as_integer(),
        "ea_size": size_of(entry, EA),
        "reparse_size": size_of(entry, REPARSE_POINT),
    }
    directory, target = entry.has_directory_entries_index(), entry.get_symbolic_link_target()
    words = entry.file_attribute_flags
    record["attributes"] = canonical.attributes(words, directory, record["reparse_size"], words & canonical.SPARSE)
    if target is not None:
        record["substitute"] = target
        record["kind"] = canonical.kind(directory, canonical.SYMLINK)
    elif not record["reparse_size"]:
        record["substitute"] = None
        record["kind"] = canonical.kind(directory, None)
    if descriptors:
        descriptor = entry.get_security_descriptor_data()
        record["sd"] = descriptor.hex() if descriptor else None
    if not directory:
        if record["reparse_size"]:
            record["size"] = entry.size
        else:
            canonical.set_content(record, canonical.Content(entry.read if entry.size else b""))
    canonical.set_streams(
        record, [(stream.name, canonical.Content(stream.read if stream.size else b""))
                 for stream in entry.alternate_data_streams]
    )
    return record


def walk(entry, path="."):
    """Every path, its entry and the number of its record."""
    yield path, entry, entry.file_reference & RECORD_NUMBER
    for below in entry.sub_file_entries:
        if path == "." and below.file_reference & RECORD_NUMBER in SYSTEM:
            continue
        yield from walk(below, below.name if path == "." else f"{path}/{below.name}")


def read(image):
    volume = pyfsntfs.volume()
    volume.open(image)
    descriptors = finds_descriptors(volume)
    records, numbers, known = [], {}, {}
    for path, entry, number in walk(volume.get_root_directory()):
        if number not in known:
            known[number] = describe(entry, descriptors)
        numbers[path] = number
        records.append(dict(known[number], path=path))
    canonical.emit(records, numbers)


if __name__ == "__main__":
    canonical.reader(__doc__, read)
