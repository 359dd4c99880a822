#!/bin/sh
# Installs what the tests use: Debian packages (an independent registry, image copiers, archivers, hive readers)
# and, through install-hive-peers.sh and install-ntfs-peers.sh, readers of hives, volumes and disks.
#
#   scripts/install-test-tools.sh          install what is missing (root, or sudo)
#   scripts/install-test-tools.sh --bench  also the peers that benchmarks measure
#   scripts/install-test-tools.sh --check  install nothing; exit 1 and name what is missing
#
# Idempotent, and quick when everything is there. Needs Debian 12 or newer (or an Ubuntu of that age).
set -eu

# command=package; a package is installed only when its command is missing.
tools="
docker-registry=docker-registry
skopeo=skopeo
umoci=umoci
htpasswd=apache2-utils
bsdtar=libarchive-tools
openssl=openssl
python3=python3
hivexml=libhivex-bin
hivexregedit=libwin-hivex-perl
reglookup=reglookup
regfinfo=libregf-utils
reged=chntpw
"
if [ "${1:-}" = --bench ]; then
    tools="$tools
igzip=isal
libdeflate-gunzip=libdeflate-tools
pigz=pigz
/usr/bin/time=time
"
fi

missing=
for tool in $tools; do
    if ! PATH="$PATH:/usr/sbin:/sbin" command -v "${tool%%=*}" >/dev/null 2>&1; then
        missing="$missing ${tool#*=}"
    fi
done

if ! python3 -c 'import ensurepip' 2>/dev/null; then
    missing="$missing python3-venv"
fi

install_peers() {
    for peers in hive ntfs; do
        sh "$(dirname "$0")/install-$peers-peers.sh" "$@"
    done
}
if [ -z "$missing" ]; then
    case "${1:-}" in
    --check) install_peers --check ;;
    *) install_peers ;;
    esac
    echo "test tools: all installed"
    exit 0
fi
if [ "${1:-}" = --check ]; then
    echo "test tools: missing:$missing" >&2
    exit 1
fi
if ! command -v apt-get >/dev/null 2>&1; then
    echo "test tools: this system has no apt-get; install these yourself:$missing" >&2
    exit 1
fi

as_root=
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
        echo "test tools: run as root, or install sudo; missing:$missing" >&2
        exit 1
    fi
    as_root=sudo
fi

# docker-registry's package starts a service on all interfaces. The tests start their own on
# loopback, so the package must start none: invoke-rc.d asks this file first, 101 means no.
policy=/usr/sbin/policy-rc.d
made_policy=
restore_policy() {
    if [ -n "$made_policy" ]; then
        $as_root rm -f "$policy"
        made_policy=
    fi
}
trap restore_policy EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
if [ ! -e "$policy" ]; then
    made_policy=1
    printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
    $as_root chmod 755 "$policy"
fi

install_packages() {
    # shellcheck disable=SC2086 # one word a package
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install \
        --yes --quiet --no-install-recommends $missing
}

echo "test tools: installing:$missing"
# The package lists may be absent (containers) or stale; refresh them only when they are.
if ! install_packages; then
    $as_root apt-get update --quiet
    install_packages
fi
restore_policy

# Nor may the service start with the next boot.
case "$missing" in
*docker-registry*)
    if [ -d /run/systemd/system ]; then
        $as_root systemctl disable docker-registry >/dev/null 2>&1 || true
    fi
    ;;
esac
install_peers
echo "test tools: done"
