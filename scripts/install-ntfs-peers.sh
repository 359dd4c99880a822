#!/bin/sh
# Installs what reads, writes and checks NTFS volumes and virtual disks beside winlayer: Debian packages, and
# readers from PyPI in a venv of their own.
#
#   scripts/install-ntfs-peers.sh          install what is missing (root, or sudo)
#   scripts/install-ntfs-peers.sh --check  install nothing; exit 1 when something is missing
#   scripts/install-ntfs-peers.sh --python print the interpreter that has the readers
#
# The venv is below WINLAYER_TEST_CACHE (default: ~/.cache/winlayer-tests). Mounting needs FUSE.
set -eu

cache=${WINLAYER_TEST_CACHE:-$HOME/.cache/winlayer-tests}
venv=$cache/venv-ntfs
packages="dissect.ntfs==3.16 dissect.cstruct==4.7 dissect.util==3.24 libfsntfs-python==20260827
dissect.hypervisor==3.21 libvhdi-python==20260901"

if [ "${1:-}" = --python ]; then
    echo "$venv/bin/python"
    exit 0
fi

# command=package; a package is installed only when its command is missing.
tools="
ntfs-3g=ntfs-3g
mkntfs=ntfs-3g
getfattr=attr
wimcapture=wimtools
istat=sleuthkit
fsntfsinfo=libfsntfs-utils
vhdiinfo=libvhdi-utils
sgdisk=gdisk
sfdisk=fdisk
7zz=7zip
qemu-img=qemu-utils
zstd=zstd
python3=python3
"
missing=
for tool in $tools; do
    if ! PATH="$PATH:/usr/sbin:/sbin" command -v "${tool%%=*}" >/dev/null 2>&1; then
        missing="$missing ${tool#*=}"
    fi
done
if ! python3 -c 'import ensurepip' 2>/dev/null; then
    missing="$missing python3-venv"
fi
readers=
if [ "$(cat "$cache/stamp-ntfs" 2>/dev/null)" != "$packages" ]; then
    readers=1
fi

if [ -z "$missing$readers" ]; then
    exit 0
fi
if [ "${1:-}" = --check ]; then
    echo "test tools: missing: peers of the NTFS tests:$missing${readers:+ readers from PyPI}" >&2
    exit 1
fi

if [ -n "$missing" ]; then
    as_root=
    if [ "$(id -u)" -ne 0 ]; then
        as_root=sudo
    fi
    install_packages() {
        # shellcheck disable=SC2086 # one word a package
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -o DPkg::Lock::Timeout=300 \
            --yes --quiet --no-install-recommends $missing
    }
    echo "test tools: installing:$missing"
    if ! install_packages; then
        $as_root apt-get update --quiet
        install_packages
    fi
fi

if [ -n "$readers" ]; then
    echo "test tools: fetching peers of the NTFS tests into $venv"
    mkdir -p "$cache"
    python3 -m venv --clear "$venv"
    # shellcheck disable=SC2086 # one word a package
    "$venv/bin/pip" install --quiet --disable-pip-version-check $packages
    printf '%s' "$packages" >"$cache/stamp-ntfs"
fi
