#!/usr/bin/env bash
# Create a virtual environment from a pin file: setup.sh FOLDER PINS
set -euo pipefail
folder=$1 pins=$2

python=""
for candidate in python3.11 python3.12 python3; do
    if command -v "$candidate" >/dev/null && "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))'; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    echo "setup: Python 3.11 or 3.12 is needed and was not found; on Debian 12: apt-get install python3" >&2
    exit 1
fi

if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    package="$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
    echo "setup: Python's venv module is missing; installing the Debian package $package"
    if [ "$(id -u)" = 0 ]; then
        apt-get update -qq && apt-get install -y -qq "$package"
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        sudo apt-get update -qq && sudo apt-get install -y -qq "$package"
    else
        echo "setup: neither root nor sudo is available; ask for: apt-get install $package" >&2
        exit 1
    fi
fi

echo "setup: creating $folder with $("$python" --version); about 2 GB of packages, a few minutes"
[ -x "$folder/bin/python" ] || "$python" -m venv "$folder"
pip=("$folder/bin/python" -m pip --disable-pip-version-check install --quiet --no-warn-script-location)
# torch first and with its own dependencies, because its wheels differ (CPU or CUDA); everything else exactly as
# pinned and nothing more: mediapipe asks for jax and a desktop OpenCV, which nothing here uses.
"${pip[@]}" --constraint "$pins" "$(grep -E '^torch==' "$pins")"
"${pip[@]}" --no-deps --requirement "$pins"
"$folder/bin/python" -c 'import cv2, mediapipe, torch, zarr' 2>/dev/null || {
    echo "setup: the packages are installed but do not import; the reason:" >&2
    "$folder/bin/python" -c 'import cv2, mediapipe, torch, zarr' >&2
    exit 1
}
echo "setup: ready"
