#!/usr/bin/env bash
# Builds static programs that run on any Linux, and checks them: no toolchain, no C library and no
# Rust is needed where they run.
#
#   release/build.sh                    both, into target/static/
#   release/build.sh x86_64             one: x86_64 or aarch64
#   ROOT=/path release/build.sh         also tries the program inside that root folder, as root
#
# Needs rustup's cargo and Python 3, for one package: `ziglang` compiles the C code (mimalloc, ring) for
# any processor and against musl. Rust's own linker and C library do the rest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

machines=("$@")
[ ${#machines[@]} -gt 0 ] || machines=(x86_64 aarch64)
target=${CARGO_TARGET_DIR:-target}
out=$target/static
tools=$target/release-tools
mkdir -p "$out" "$tools"
export CARGO_PROFILE_RELEASE_DEBUG=false CARGO_PROFILE_RELEASE_STRIP=symbols

python=${PYTHON:-python3}
if ! "$python" -c 'import ziglang' 2>/dev/null; then
    [ -d "$tools/venv" ] || python3 -m venv "$tools/venv"
    python=$tools/venv/bin/python
    "$python" -c 'import ziglang' 2>/dev/null || "$python" -m pip install --quiet ziglang==0.17.1
fi

# A program that cargo can call as the C compiler or archiver for `machine`. The compiler is told the target
# in Rust's words by the crate `cc`, which zig does not understand, and gets it in zig's.
tool() { # machine, command
    local file
    file=$(realpath "$tools")/$1-$2
    cat >"$file" <<SCRIPT
#!/usr/bin/env bash
arguments=()
for argument; do [[ \$argument == --target=* ]] || arguments+=("\$argument"); done
exec "$(command -v "$python")" -m ziglang $2 $([ "$2" = cc ] && echo "-target $1-linux-musl") "\${arguments[@]}"
SCRIPT
    chmod +x "$file"
    echo "$file"
}

for machine in "${machines[@]}"; do
    triple=$machine-unknown-linux-musl
    name=${triple//-/_}
    rustup target add "$triple"
    CC=$(tool "$machine" cc) AR=$(tool "$machine" ar)
    env "CC_$name=$CC" "AR_$name=$AR" "CARGO_TARGET_${name^^}_LINKER=rust-lld" \
        cargo build --locked --release -p pemm-cli --target "$triple"
    program=$out/pemm-$machine-linux
    cp "$target/$triple/release/pemm" "$program"

    # Static: it asks for no interpreter and no library.
    if readelf -ld "$program" | grep -E 'INTERP|NEEDED'; then
        echo "$program is not static" >&2
        exit 1
    fi
    # What this machine cannot run itself, qemu runs where it is installed.
    run=()
    if [ "$machine" != "$(uname -m)" ]; then
        run=("$(command -v "qemu-$machine-static" || true)")
        [ -n "${run[0]}" ] || { echo "$program is static; it was not started (no qemu-$machine-static)"; continue; }
    fi
    work=$(mktemp -d)
    "${run[@]}" "$program" train digits --noise symmetric:0.4 --epochs 3 --quiet --out "$work/run" | tail -n 3
    test -s "$work/run/last.safetensors"
    rm -r "$work"
    if [ -n "${ROOT-}" ] && [ ${#run[@]} -eq 0 ]; then
        cp "$program" "$ROOT/pemm"
        chroot "$ROOT" /pemm train digits --epochs 3 --quiet --out /run-of-pemm | tail -n 3
        rm -r "$ROOT/pemm" "$ROOT/run-of-pemm"
        echo "it trains inside $ROOT"
    fi
    echo "$program is static and trains"
done
