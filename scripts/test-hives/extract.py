"""Copies the hives that crates carry as test data into the folder given; stdin is `cargo metadata`."""

import json
import pathlib
import shutil
import sys
import tarfile

target = pathlib.Path(sys.argv[1])
sources = {
    package["name"]: pathlib.Path(package["manifest_path"]).parent
    for package in json.load(sys.stdin)["packages"]
}
shutil.copy(sources["hivex"] / "EmptyHive.dat", target / "offreg-empty")
shutil.copy(sources["nt-hive"] / "testdata/testhive", target / "offreg-testhive")
(tarball,) = sources["hivex-sys"].glob("hivex-*.tar.gz")
with tarfile.open(tarball) as archive:
    for member in archive:
        path = pathlib.PurePosixPath(member.name)
        if path.parent.name == "images" and path.name in ("minimal", "special", "rlenvalue_test_hive"):
            (target / path.name).write_bytes(archive.extractfile(member).read())
