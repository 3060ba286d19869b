#!/bin/sh
# Builds pemm for CUDA and Vulkan, stripped and packed, for a machine that may reach no network.
#
#     bench/gpu/build.sh [FOLDER]         (default: gpu-carry, which git ignores)
#
# CubeCL compiles its CUDA kernels with an LLVM that its build would download; a closed network cannot
# do that, but the build takes an installed one, and PyPI has the static libraries. Needs cargo, python3
# with pip, unzip, xz, a C compiler, and half an hour on two cores the first time. On a
# machine with that network none of it is needed: `cargo build --release --features cuda` does.
set -eu
cd "$(dirname "$0")/../.."
carry=${1:-gpu-carry}
llvm=${XDG_DATA_HOME:-$HOME/.local/share}/tracel/tracel-llvm-23.1.0-4
if [ ! -e "$llvm/.tracel-llvm-installed" ]; then
    wheels=$(mktemp -d)
    python3 -m pip download --no-deps -d "$wheels" \
        mlc-llvm-static==23.1.1 mlc-llvm-static-extra-targets==23.1.1
    for wheel in "$wheels"/*.whl; do unzip -q -o "$wheel" -d "$wheels"; done
    mkdir -p "$llvm"
    cp -r "$wheels"/mlc_llvm_static/static/* "$llvm"
    chmod +x "$llvm"/bin/*
    touch "$llvm/.tracel-llvm-installed"
    rm -r "$wheels"
fi
target=${CARGO_TARGET_DIR:-target}/gpu
CARGO_TARGET_DIR=$target cargo build --release -p pemm-cli --features cuda,wgpu
mkdir -p "$carry"
strip -o "$carry/pemm" "$target/release/pemm"
xz -T0 -6 -f "$carry/pemm"
ls -l "$carry"
