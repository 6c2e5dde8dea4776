#!/usr/bin/env bash
# Run once, as root, when the image is built: a Python of at least 3.11 that every user may read (so none below
# /root: the code of students runs as another user), and the packages that the grader needs.
set -euo pipefail
SOURCE="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
PREFIX="${HOMEWORK_PREFIX:-/opt/homework}"
export DEBIAN_FRONTEND=noninteractive
umask 022

find_python() {
    local found
    while read -r found; do # of each name the first that others may read, whatever stands before it on the PATH
        found="$(readlink -f "$found")"
        case "$found" in /root/*) continue ;; esac
        if "$found" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
            echo "$found"
            return
        fi
    done < <(type -aP python3.14 python3.13 python3.12 python3.11 python3)
    return 1
}

apt-get update
PYTHON="$(find_python || true)"
if [ -z "$PYTHON" ]; then
    apt-get install -y python3.11 python3.11-venv || true
    PYTHON="$(find_python || true)"
fi
if [ -z "$PYTHON" ]; then
    echo "setup.sh: found no Python of at least 3.11 outside /root, and could not install one" >&2
    exit 1
fi
apt-get install -y "$(basename "$PYTHON")-venv" || true # a Python that is not the system's has it already
if [ -f "$SOURCE/packages.txt" ]; then
    xargs -a "$SOURCE/packages.txt" apt-get install -y
fi
"$PYTHON" -m venv "$PREFIX"
"$PREFIX/bin/python" -m pip install --constraint "$SOURCE/project/constraints.txt" \
    --requirement "$SOURCE/project/requirements.txt"
