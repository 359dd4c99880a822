#!/bin/sh
# Fetches what the registry tests need beside Debian packages: two readers from PyPI in a venv, and
# hives made by others, out of the sources of published crates.
#
#   scripts/install-hive-peers.sh          fetch what is missing
#   scripts/install-hive-peers.sh --check  fetch nothing; exit 1 when something is missing
#
# All of it goes below WINLAYER_TEST_CACHE (default: ~/.cache/winlayer-tests).
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cache=${WINLAYER_TEST_CACHE:-$HOME/.cache/winlayer-tests}
venv=$cache/venv
hives=$cache/hives
packages="regipy==6.5.0 python-registry==1.3.1"
stamp="$packages $(cksum <"$here/test-hives/Cargo.lock")"

if [ "$(cat "$cache/stamp" 2>/dev/null)" = "$stamp" ]; then
    exit 0
fi
if [ "${1:-}" = --check ]; then
    echo "test tools: missing: peers of the registry tests" >&2
    exit 1
fi

echo "test tools: fetching peers of the registry tests into $cache"
mkdir -p "$hives"
python3 -m venv --clear "$venv"
# shellcheck disable=SC2086 # one word a package
"$venv/bin/pip" install --quiet --disable-pip-version-check $packages

manifest=$here/test-hives/Cargo.toml
cargo fetch --quiet --locked --manifest-path "$manifest"
cargo metadata --format-version 1 --locked --offline --manifest-path "$manifest" |
    python3 "$here/test-hives/extract.py" "$hives"
printf '%s' "$stamp" >"$cache/stamp"
