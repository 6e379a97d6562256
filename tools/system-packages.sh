#!/usr/bin/env bash
# Install what Debian or Ubuntu needs for a napari window (and a virtual screen), when it may; otherwise say what to type.
set -euo pipefail
packages="xvfb xauth libxkbcommon-x11-0 libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-randr0 libxcb-render-util0
 libxcb-xinerama0 libxcb-shape0 libxcb-cursor0 libegl1 libgl1 libglx-mesa0 libgl1-mesa-dri libopengl0 libdbus-1-3
 libfontconfig1 libglib2.0-0"
python=${1:-python3}

[ "$(uname -s)" = Linux ] || exit 0
if ! command -v dpkg-query >/dev/null; then
  command -v xvfb-run >/dev/null || echo "Not Debian or Ubuntu: please install Xvfb (xvfb-run) and OpenGL with your package manager." >&2
  exit 0
fi
has() { # libglib2.0-0 is called libglib2.0-0t64 on newer Ubuntu
  dpkg-query -W -f='${Status}\n' "$1" "$1t64" 2>/dev/null | grep -q "install ok installed"
}
missing=""
for package in $packages; do has "$package" || missing="$missing $package"; done
"$python" -c "import ensurepip, venv" 2>/dev/null || missing="$missing python3-venv"
[ -z "$missing" ] && exit 0

install="apt-get install -y --no-install-recommends$missing"
if [ "$(id -u)" = 0 ]; then run=""; elif sudo -n true 2>/dev/null; then run="sudo"; else
  printf 'These system packages are missing. Please run:\n  sudo %s\n' "$install" >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
echo "installing system packages:$missing"
$run apt-get update -qq
$run $install -qq >/dev/null
