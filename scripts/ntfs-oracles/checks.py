"""Runs every checker of NTFS volumes there is on Linux, and fails with what the first unhappy one said.

usage: checks.py IMAGE [--offset BYTES] [--exact-names]

None sees everything: ntfsresize accounts for each cluster, ntfssecaudit audits $Secure, wimcapture and
the mounted driver read every stream, structure.py looks at what repeats in several places.
"""

import argparse
import os
import stat
import subprocess
import sys

import canonical

HERE = os.path.dirname(os.path.abspath(__file__))


class Unhappy(Exception):
    pass


def tool(*command, says=None):
    """Runs a checker that must exit with 0 and, if given, say `says`."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    text = done.stdout.decode(errors="replace")
    if done.returncode or (says and says not in text):
        lines = [line for line in text.replace("\r", "\n").splitlines() if line.strip() and "percent completed" not in line]
        raise Unhappy(f"{' '.join(command)}: exit status {done.returncode}\n" + "\n".join(lines[-15:]))


def read_everything(image):
    """Walks the mounted volume and reads each stream to its end; how many bytes."""
    total = 0
    with canonical.mounted(image, "ro") as place:
        for directory, directories, files in os.walk(os.fsencode(place), onerror=raise_it):
            for name in directories + files:
                path = os.path.join(directory, name)
                try:
                    found = os.lstat(path)
                    if stat.S_ISREG(found.st_mode):
                        with open(path, "rb", buffering=0) as file:
                            count = canonical.Content(file.read).size
                        if count != found.st_size:
                            raise Unhappy(f"{os.fsdecode(path)}: {count} bytes read, size {found.st_size}")
                        total += count
                    elif stat.S_ISLNK(found.st_mode):
                        os.readlink(path)
                except OSError as error:
                    raise Unhappy(f"reading through ntfs-3g: {error}") from error
    return total


def raise_it(error):
    raise Unhappy(f"listing through ntfs-3g: {error}")


def capture(image):
    with canonical.scratch("capture") as place:
        tool("wimcapture", "--compress=none", image, os.path.join(place, "wim"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("image", help="NTFS volume, raw disk with a GPT, or VHDX")
    parser.add_argument("--offset", type=int, help="where the volume begins, in bytes")
    parser.add_argument("--exact-names", action="store_true", help="$FILE_NAME must repeat the file's facts")
    arguments = parser.parse_args()
    exact = ["--exact-names"] if arguments.exact_names else []
    with canonical.volume(arguments.image, arguments.offset) as image:
        try:
            tool("ntfsresize", "-i", "-f", image, says="Accounting clusters")
            tool("ntfssecaudit", "-a", image, says="No errors were found")
            tool("ntfssecaudit", "-r", image, "/", says="No errors were found")
            tool("ntfsfix", "-n", image, says="processed successfully")
            tool("ntfsinfo", "-m", image)
            capture(image)
            tool(sys.executable, os.path.join(HERE, "structure.py"), image, *exact)
            total = read_everything(image)
        except Unhappy as error:
            sys.exit(f"{arguments.image} is not sound: {error}")
    print(f"{arguments.image}: all checkers are content; {total} bytes read")


if __name__ == "__main__":
    main()
