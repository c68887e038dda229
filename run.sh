#!/usr/bin/env bash
# Sets up what is missing, builds, and answers the telephone. Arguments go to `secretary serve`; paths in them are relative to
# the repository.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")"
source tools/setup.sh

need_toolchain
need_packages "${run_packages[@]}"
need_models "$@"
cargo build --release --locked
exec target/release/secretary serve "$@"
