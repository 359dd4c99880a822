"""Checks what no Linux tool checks of an NTFS volume, on attributes that dissect.ntfs reads.

usage: structure.py IMAGE [--offset BYTES] [--exact-names]

Directories: the order of names by the volume's own $UpCase, blocks against the index's bitmap, depth,
sequence numbers, and that every name of a record is in its directory once and the other way round.
Records: link counts, security ids, the flags and sizes that repeat what an attribute says, the order of
attributes, $MFT's bitmap. $Reparse: exactly the reparse points there are.
With --exact-names also times, sizes and attributes in $FILE_NAME and in its copy in the directory: a
driver lets them age, a volume written at once has no reason to.
One line for each fault; exit status 1 if there is any.
"""

import argparse
import array
import struct
import sys

from dissect.ntfs import NTFS
from dissect.ntfs.c_ntfs import ATTRIBUTE_TYPE_CODE as TYPE
from dissect.ntfs.exceptions import Error
from dissect.ntfs.util import apply_fixup

import canonical
import lone_surrogates

ROOT, SECURE, UPCASE, EXTEND, FIRST_USER = 5, 9, 10, 11, 24
REPARSE_INDEX = "$Extend/$Reparse"
IN_USE, DIRECTORY = 1, 2
HAS_CHILD, LAST = 1, 2
NAME_DIRECTORY, NAME_REPARSE = 0x10000000, 0x400
DOS = 2
COMPRESSED, SPARSE = 0x0001, 0x8000
RECORD_NUMBER = (1 << 48) - 1


class Name:
    """A $FILE_NAME: parent, four times, sizes, attributes, EA size or reparse tag, namespace, name."""

    def __init__(self, data):
        self.parent, *self.times, self.allocated, self.size, self.attributes, self.extra = struct.unpack_from(
            "<Q4QQQII", data
        )
        length, self.namespace = data[64], data[65]
        self.raw = data[66 : 66 + 2 * length]
        self.text = self.raw.decode("utf-16-le", "surrogatepass")
        if len(data) < 66 + 2 * length:
            raise SystemExit(f"$FILE_NAME of {len(data)} bytes with a name of {length} units")
        self.key = (self.parent, self.namespace, self.raw)
        self.facts = (self.times, self.allocated, self.size, self.attributes, self.extra)


class Tree:
    """An index as a B-tree: entries in order, what is wrong with its blocks."""

    def __init__(self, record, name, faults):
        self.record, self.name, self.faults = record, name, faults
        root = record.open(name, TYPE.INDEX_ROOT).read()
        self.block_size, = struct.unpack_from("<I", root, 8)
        self.blocks = self.optional(TYPE.INDEX_ALLOCATION)
        # A block's number counts clusters, or sectors where a cluster is larger than a block.
        self.unit = record.ntfs.cluster_size if record.ntfs.cluster_size <= self.block_size else 512
        self.seen, self.depths = set(), set()
        self.entries = list(self.node(root, 16, 0))
        self.check_blocks()

    def optional(self, kind):
        return self.record.open(self.name, kind).read() if self.record.has_stream(self.name, kind) else b""

    def node(self, data, header, depth):
        """(first 8 bytes, key) of the entries below a node header, in order."""
        first, used, allocated, flags = struct.unpack_from("<IIIB", data, header)
        if not used <= allocated <= len(data) - header:
            self.faults(f"node header says {used} of {allocated} bytes used in {len(data) - header}")
        offset, end = header + first, header + used
        leaf = True
        while offset < end:
            length, key_length, entry_flags = struct.unpack_from("<HHH", data, offset + 8)
            if length < 16 or length % 8 or offset + length > end:
                self.faults(f"entry of {length} bytes at {offset} of a node that ends at {end}")
                return
            if entry_flags & HAS_CHILD:
                leaf = False
                vcn, = struct.unpack_from("<Q", data, offset + length - 8)
                yield from self.block(vcn, depth + 1)
            if entry_flags & LAST:
                if offset + length != end:
                    self.faults(f"the last entry ends at {offset + length}, the node at {end}")
                break
            yield data[offset : offset + 8], data[offset + 16 : offset + 16 + key_length]
            offset += length
        else:
            self.faults("node without a last entry")
        if leaf == bool(flags & 1):
            self.faults("node header's flag for children does not match the entries")
        if leaf:
            self.depths.add(depth)

    def block(self, vcn, depth):
        start = vcn * self.unit
        number = start // self.block_size
        raw = self.blocks[start : start + self.block_size]
        if number in self.seen or len(raw) < self.block_size or raw[:4] != b"INDX":
            self.faults(f"block {vcn} is no index block, or used twice")
            return
        self.seen.add(number)
        fixed = apply_fixup(raw)
        if struct.unpack_from("<Q", fixed, 16)[0] != vcn:
            self.faults(f"block {vcn} says it is {struct.unpack_from('<Q', fixed, 16)[0]}")
        yield from self.node(fixed, 24, depth)

    def check_blocks(self):
        bitmap = self.optional(TYPE.BITMAP)
        marked = {i for i in range(8 * len(bitmap)) if bitmap[i // 8] >> i % 8 & 1}
        if marked != self.seen:
            self.faults(f"blocks marked but not reached {sorted(marked - self.seen)}, "
                        f"reached but not marked {sorted(self.seen - marked)}")
        if len(self.depths) > 1:
            self.faults(f"leaves at depths {sorted(self.depths)}")


class Check:
    def __init__(self, image, exact):
        self.ntfs, self.exact, self.count, self.checked = NTFS(image), exact, 0, 0
        self.upcase = array.array("H", self.ntfs.mft.get(UPCASE).open().read())
        if sys.byteorder == "big":
            self.upcase.byteswap()
        self.records = dict(self.read_records())
        self.names = {}
        self.security_ids = {struct.unpack("<I", key)[0] for _, key in self.tree(SECURE, "$SII").entries}
        for number, record in self.records.items():
            self.check_record(number, record)
        for number, record in self.records.items():
            if record.header.Flags & DIRECTORY and (number == ROOT or number >= EXTEND):
                self.check_directory(number)
        for number, names in self.names.items():
            for name in names:
                text = name[2].decode("utf-16-le", "replace")
                self.fault(number, f"{text!r} is not in directory {name[0] & RECORD_NUMBER}")
        self.check_reparse_index()

    def fault(self, number, text):
        self.count += 1
        print(f"record {number}: {text}")

    def tree(self, number, name):
        record = self.ntfs.mft.get(number)
        return Tree(record, name, lambda text: self.fault(number, f"index {name}: {text}"))

    def read_records(self):
        """Every base record in use; $MFT's bitmap must agree with the records' flags."""
        mft = self.ntfs.mft.get(0)
        bitmap = mft.open("", TYPE.BITMAP).read()
        for number in range(mft.size() // self.ntfs._record_size):
            marked = bool(bitmap[number // 8] >> number % 8 & 1)
            try:
                record = self.ntfs.mft.get(number)
            except (Error, EOFError) as error:
                if marked:
                    self.fault(number, f"cannot be read: {error}")
                continue
            if bool(record.header.Flags & IN_USE) != marked:
                self.fault(number, f"$MFT's bitmap says {marked}, the record's flags {record.header.Flags:#x}")
            base = record.header.BaseFileRecordSegment
            if record.header.Flags & IN_USE and not (base.SegmentNumberLowPart or base.SequenceNumber):
                yield number, record

    def raw(self, record, kind):
        return record.open("", kind).read() if record.has_stream("", kind) else None

    def check_record(self, number, record):
        say = lambda text: self.fault(number, text)
        self.check_order(record, say)
        names = [Name(each.open().read()) for each in record.attributes[TYPE.FILE_NAME]]
        self.names[number] = {name.key: name for name in names}
        if len(self.names[number]) != len(names):
            say("has a name twice")
        if number in range(12, FIRST_USER):
            return
        if record.header.ReferenceCount != len(names):
            say(f"link count {record.header.ReferenceCount}, but {len(names)} names")
        if number != ROOT and (number < FIRST_USER or any(name.parent & RECORD_NUMBER == EXTEND for name in names)):
            return
        self.checked += 1
        self.check_repeats(record, names, say)

    def check_order(self, record, say):
        own = [each for each in sum(record.attributes.values(), []) if each.record is record]
        offsets = sorted((each.header.offset, each.type.value, each.name) for each in own)
        upper = lambda text: [self.upcase[unit] for unit in array.array("H", text.encode("utf-16-le", "surrogatepass"))]
        keys = [(kind, upper(name)) for _, kind, name in offsets]
        if keys != sorted(keys):
            say(f"attributes out of order: {[(hex(kind), name) for _, kind, name in offsets]}")
        end = max(each.header.offset + each.header.record_length for each in own)
        if record.header.BytesInUse != end + 8:
            say(f"{record.header.BytesInUse} bytes said to be in use, attributes end at {end}")

    def check_repeats(self, record, names, say):
        """Facts that stand in more than one place."""
        standard = self.raw(record, TYPE.STANDARD_INFORMATION)
        created, written, changed, accessed, words = struct.unpack_from("<QQQQI", standard)
        own = self.raw(record, TYPE.SECURITY_DESCRIPTOR)
        security, = struct.unpack_from("<I", standard, 0x34) if len(standard) >= 72 else (0,)
        if own is None and security not in self.security_ids:
            say(f"security id {security:#x} does not exist")
        reparse = self.raw(record, TYPE.REPARSE_POINT)
        if bool(words & canonical.REPARSE) != bool(reparse):
            say(f"attributes {words:#x}, reparse point: {bool(reparse)}")
        ea_size = self.check_eas(record, say)
        directory = bool(record.header.Flags & DIRECTORY)
        if directory == record.has_stream() or directory != record.has_stream("$I30", TYPE.INDEX_ROOT):
            say("the flag for directories does not match the attributes")
        data = record.attributes.find("", TYPE.DATA)
        if data and bool(words & canonical.SPARSE) != bool(data[0].header.flags & SPARSE):
            say(f"attributes {words:#x}, flags of the data {data[0].header.flags:#x}")
        extra = canonical.reparse_tag(reparse) if reparse else ea_size
        size = record.size() if data else 0
        for name in names:
            if bool(name.attributes & NAME_DIRECTORY) != directory:
                say(f"name {name.text!r}: attributes {name.attributes:#x}")
            if self.exact:
                self.check_name(name, [created, written, changed, accessed], words, directory, extra, size, data, say)

    def check_name(self, name, times, words, directory, extra, size, data, say):
        allocated = self.allocated(data[0].header, size) if data else 0
        expected = {
            "times": (name.times, times),
            "attributes": (name.attributes, words | NAME_DIRECTORY * directory),
            "EA size or reparse tag": (name.extra, extra),
            "size": (name.size, size),
            "allocated size": (name.allocated, allocated),
        }
        for what, (found, wanted) in expected.items():
            if found != wanted:
                say(f"name {name.text!r}: {what} {found}, the file's {wanted}")

    def allocated(self, header, size):
        """Of a stream with holes the clusters it really has; of a resident one its place in the record."""
        if header.resident:
            return size + -size % 8
        return header.header.Form.Nonresident.TotalAllocated if header.flags & (SPARSE | COMPRESSED) else header.allocated_size

    def check_eas(self, record, say):
        """$EA against $EA_INFORMATION; the packed size."""
        eas, information = self.raw(record, TYPE.EA), self.raw(record, TYPE.EA_INFORMATION)
        if (eas is None) != (information is None):
            say("only one of $EA and $EA_INFORMATION")
            return 0
        if eas is None:
            return 0
        entries = canonical.parse_eas(eas)
        packed = sum(5 + len(name) + len(value) // 2 for name, _, value in entries)
        needed = sum(flags >> 7 for _, flags, _ in entries)
        found = struct.unpack("<HHI", information)
        if found != (packed, needed, len(eas)):
            say(f"$EA_INFORMATION says {found}, $EA is {(packed, needed, len(eas))}")
        return packed

    def collation(self, name):
        units = array.array("H", name.raw)
        return [self.upcase[unit] for unit in units], list(units)

    def check_directory(self, number):
        say = lambda text: self.fault(number, f"index $I30: {text}")
        record, before = self.records[number], None
        for reference, key in self.tree(number, "$I30").entries:
            name, (target,) = Name(key), struct.unpack("<Q", reference)
            order = self.collation(name)
            if before is not None and not before < order:
                say(f"{name.text!r} is out of order")
            before = order
            own = number | record.header.SequenceNumber << 48
            if name.parent != own:
                say(f"{name.text!r} says its directory is {name.parent:#x}, not {own:#x}")
            found = self.records.get(target & RECORD_NUMBER)
            if found is None or found.header.SequenceNumber != target >> 48:
                say(f"{name.text!r} refers to {target:#x}, which is not in use")
                continue
            attribute = self.names[target & RECORD_NUMBER].pop(name.key, None)
            if attribute is None:
                say(f"{name.text!r} is no name of record {target & RECORD_NUMBER}")
            elif self.exact and target & RECORD_NUMBER >= FIRST_USER and attribute.facts != name.facts:
                say(f"{name.text!r}: the copy {name.facts} differs from the name {attribute.facts}")

    def check_reparse_index(self):
        number = self.ntfs.mft.get(REPARSE_INDEX).segment
        found = [struct.unpack("<IQ", key[:12]) for _, key in self.tree(number, "$R").entries]
        wanted = []
        for at, record in self.records.items():
            buffer = self.raw(record, TYPE.REPARSE_POINT)
            if buffer:
                wanted.append((canonical.reparse_tag(buffer), at | record.header.SequenceNumber << 48))
        if sorted(found) != sorted(wanted):
            self.fault(number, f"$R has {sorted(set(found) - set(wanted))} too much, "
                               f"lacks {sorted(set(wanted) - set(found))}")
        order = lambda key: struct.unpack("<III", struct.pack("<IQ", *key))
        if [order(key) for key in found] != sorted(order(key) for key in found):
            self.fault(number, "$R is out of order")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("image", help="NTFS volume, raw disk with a GPT, or VHDX")
    parser.add_argument("--offset", type=int, help="where the volume begins, in bytes")
    parser.add_argument("--exact-names", action="store_true", help="$FILE_NAME must repeat the file's facts")
    arguments = parser.parse_args()
    lone_surrogates.allow()
    sys.stdout.reconfigure(errors="backslashreplace")
    with canonical.volume(arguments.image, arguments.offset) as plain, open(plain, "rb") as file:
        check = Check(file, arguments.exact_names)
    print(f"structure: {check.checked} records, {check.count} faults")
    sys.exit(check.count > 0 or check.checked < 2)


if __name__ == "__main__":
    main()
