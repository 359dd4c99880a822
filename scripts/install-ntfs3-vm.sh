#!/bin/sh
# Fetches what boots the Linux kernel's own NTFS driver (ntfs3) in a small virtual machine: the kernel
# package of Debian 13 (that of Debian 12 is built without ntfs3), busybox, and QEMU unless it is
# installed. All are unpacked into a folder; nothing on the system changes.
#
#   scripts/install-ntfs3-vm.sh          fetch what is missing
#   scripts/install-ntfs3-vm.sh --check  fetch nothing; exit 1 when something is missing
#   scripts/install-ntfs3-vm.sh --where  print the folder
#
# The folder is below WINLAYER_TEST_CACHE (default: ~/.cache/winlayer-tests).
set -eu

vm=${WINLAYER_TEST_CACHE:-$HOME/.cache/winlayer-tests}/ntfs3-vm

if [ "${1:-}" = --where ]; then
    echo "$vm"
    exit 0
fi
if [ -e "$vm/complete" ]; then
    exit 0
fi
if [ "${1:-}" = --check ]; then
    echo "test tools: missing: the virtual machine with ntfs3" >&2
    exit 1
fi

echo "test tools: fetching a kernel with ntfs3 into $vm"
rm -rf "$vm"
mkdir -p "$vm/root" "$vm/debs" "$vm/apt/lists/partial" "$vm/apt/cache/archives/partial"
cd "$vm/debs"

# An apt of its own for the other release: its lists and its state are in the folder.
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb [signed-by=$keyring] http://deb.debian.org/debian trixie main" >"$vm/apt/sources"
: >"$vm/apt/status"
other_apt() {
    command=$1
    shift
    "$command" -o Dir::Etc::sourcelist="$vm/apt/sources" -o Dir::Etc::sourceparts=- -o Dir::State::lists="$vm/apt/lists" \
        -o Dir::Cache="$vm/apt/cache" -o Dir::State::status="$vm/apt/status" -o APT::Sandbox::User=root "$@"
}
other_apt apt-get update -qq
kernel=$(other_apt apt-cache depends linux-image-amd64 | sed -n 's/.*Depends: //p' | head -n 1)
other_apt apt-get download -qq "$kernel"

wanted=busybox-static
if ! command -v qemu-system-x86_64 >/dev/null 2>&1; then
    wanted="$wanted qemu-system-x86"
fi
# What apt would install, libraries too; installing it could remove a newer qemu-utils.
# shellcheck disable=SC2046,SC2086 # one word a package
apt-get -o APT::Sandbox::User=root download -qq \
    $(apt-get install --simulate --reinstall --no-install-recommends $wanted | sed -n 's/^Inst \([^ ]*\) .*/\1/p')

for package in *.deb; do
    dpkg -x "$package" "$vm/root"
done
cd "$vm"
rm -rf debs apt
# Of the kernel the machine needs two modules.
find root -name '*.ko.xz' ! -name ntfs3.ko.xz ! -name virtio_blk.ko.xz -delete
test -n "$(find root -name ntfs3.ko.xz)"
touch complete
