# What run.sh and test.sh both need. Sourced; expects `set -euo pipefail` and the repository as working directory.

cache=${SECRETARY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/secretary}

# To build: a C++ compiler and cmake for whisper.cpp, a C compiler for ring. To speak: espeak-ng (phonemes for Piper voices) and
# festival with its Russian voice.
run_packages=(g++ make cmake espeak-ng festival festvox-ru ca-certificates)

say() { printf '\033[1m== %s\033[0m\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

need_toolchain() {
    command -v cargo >/dev/null || die "cargo is not in PATH: install Rust $(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml) or newer, see https://rustup.rs"
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || die "Python 3.11 or newer is needed to fetch the models"
    python3 -m pip --version >/dev/null 2>&1 || die "pip is needed to fetch the models: apt-get install python3-pip"
}

need_packages() {
    local missing=() name
    for name in "$@"; do
        [[ $(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null) == installed ]] || missing+=("$name")
    done
    ((${#missing[@]})) || return 0
    say "installing system packages: ${missing[*]}"
    local apt=(apt-get -q -o DPkg::Lock::Timeout=600) as_root=(env DEBIAN_FRONTEND=noninteractive)
    if ((EUID)); then
        command -v sudo >/dev/null || die "not root and no sudo; as root: apt-get update && apt-get install ${missing[*]}"
        as_root=(sudo "${as_root[@]}")
    fi
    "${as_root[@]}" "${apt[@]}" update >&2 </dev/null
    "${as_root[@]}" "${apt[@]}" install -y --no-install-recommends "${missing[@]}" >&2 </dev/null
}

need_models() {
    python3 models/fetch.py --for "$@"
}
