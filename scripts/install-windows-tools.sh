#!/usr/bin/env bash
# Installs what building for Windows and running it in Wine take, and the runner winlayer-wine.
set -euo pipefail

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }
missing=()
command -v x86_64-w64-mingw32-gcc >/dev/null || missing+=(gcc-mingw-w64-x86-64-win32)
command -v wine64 >/dev/null || [ -x /usr/lib/wine/wine64 ] || missing+=(wine64)
if [ ${#missing[@]} != 0 ]; then
  as_root apt-get -q update
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qy install --no-install-recommends "${missing[@]}"
fi
wine=$(command -v wine64 || echo /usr/lib/wine/wine64)
prefix=${XDG_CACHE_HOME:-$HOME/.cache}/winlayer-wine
overrides='mscoree,mshtml=;winemenubuilder.exe=d'
export WINEPREFIX=$prefix WINEDEBUG=-all WINEDLLOVERRIDES=$overrides LC_ALL=C.UTF-8
unset DISPLAY WAYLAND_DISPLAY
if [ ! -d "$prefix" ]; then
  "$wine" wineboot -i
  "$wine" winecfg /v win10
  # With a debugger a crash can end in exit status 0 and pass for a success.
  "$wine" reg add 'HKLM\Software\Microsoft\Windows NT\CurrentVersion\AeDebug' /v Debugger /d false /f
fi
# Rust's std takes its randomness from a library that older versions of Wine lack.
if [ ! -e "$prefix/drive_c/windows/system32/bcryptprimitives.dll" ]; then
  source=$(mktemp --suffix=.c)
  cat >"$source" <<'EOF'
#include <windows.h>
BOOLEAN NTAPI SystemFunction036(PVOID, ULONG); /* RtlGenRandom */
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T size) { return SystemFunction036(data, (ULONG)size); }
EOF
  x86_64-w64-mingw32-gcc -O2 -s -shared -o "$prefix/drive_c/windows/system32/bcryptprimitives.dll" "$source" -ladvapi32
  rm "$source"
fi
bin=${CARGO_HOME:-$HOME/.cargo}/bin
mkdir -p "$bin"
cat >"$bin/winlayer-wine" <<EOF
#!/bin/sh
export WINEPREFIX='$prefix' WINEDEBUG="\${WINEDEBUG:--all}" WINEDLLOVERRIDES='$overrides' LC_ALL=C.UTF-8
unset DISPLAY WAYLAND_DISPLAY
exec '$wine' "\$@"
EOF
chmod +x "$bin/winlayer-wine"
