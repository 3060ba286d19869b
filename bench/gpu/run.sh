#!/bin/sh
# What a borrowed machine with an NVIDIA GPU is asked, in parts, so that each fits the time there is:
#
#     bench/gpu/run.sh smoke|speed|cells CARRY OUT [SECONDS]
#
# CARRY is the folder that build.sh filled; with a package of the Vulkan loader (libvulkan1_*.deb) in it,
# Vulkan is tried too, and `cells` wants cifar10-jpeg.tar.gz there. OUT takes the results. DEVICE names
# another device than cuda, so that all of it can be tried on a software one: `DEVICE=wgpu SMALL=1`.
#
#   smoke  the devices; digits trained on the GPU and on the CPU, epoch by epoch; a run that is broken
#          off on the GPU and goes on on the CPU
#   speed  images per second of a whole training with pemm, and of a bare training step with PyTorch
#   cells  the paper's own setting (cells.toml) until SECONDS are over; it goes on where it was
set -u
part=$1
carry=$(cd "$2" && pwd)
mkdir -p "$3"
out=$(cd "$3" && pwd)
seconds=${4:-300}
here=$(cd "$(dirname "$0")" && pwd)
device=${DEVICE:-cuda}
small=${SMALL:-}
work=${WORK:-/tmp/pemm-gpu}
mkdir -p "$work"
[ -x "$work/pemm" ] || { xz -dc -T0 "$carry/pemm.xz" >"$work/new" && chmod +x "$work/new" && mv "$work/new" "$work/pemm"; }
if [ -d /usr/local/nvidia/share/vulkan ] && ls "$carry"/libvulkan1_*.deb >/dev/null 2>&1; then
    for package in "$carry"/*.deb; do dpkg -x "$package" /; done
    ldconfig
    export VK_DRIVER_FILES=/usr/local/nvidia/share/vulkan/icd.d/nvidia_icd.json
fi
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-$work}"
cd "$work"

# The numbers of each epoch, one line an epoch.
epochs() {
    python3 - "$1" <<'PYTHON'
import json, sys
for line in open(sys.argv[1] + "/log.jsonl"):
    e = json.loads(line)
    print(f"  epoch {e['epoch']}: loss {e['loss']:.6f}, validation {e['val_accuracy_given']}, {e['images_per_sec']:.0f} images/s, {e['seconds']:.1f} s")
PYTHON
}

case $part in
smoke)
    nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader
    timeout 100 ./pemm devices
    for where in cpu "$device" "$device" ${ALSO:-}; do # the second start finds its kernels made
        echo "digits on $where"
        rm -rf digits
        start=$(date +%s.%N)
        timeout "${LIMIT:-100}" ./pemm train digits --noise symmetric:0.4 --seed 1 --epochs 4 --device "$where" \
            --out digits --no-report --outputs off --quiet >"$out/digits-$where.txt" 2>&1 || tail -5 "$out/digits-$where.txt"
        python3 -c "import time; print(f'  {time.time() - $start:.1f} s in all')"
        epochs digits 2>/dev/null
    done
    echo "broken off on $device, continued on the CPU"
    rm -rf broken
    timeout -s INT "${BREAK:-12}" ./pemm train digits --noise symmetric:0.4 --seed 1 --epochs 400 --device "$device" \
        --out broken --no-report --outputs off --quiet >/dev/null 2>&1
    before=$(wc -l <broken/log.jsonl)
    timeout -s INT 15 ./pemm train digits --noise symmetric:0.4 --seed 1 --epochs 400 --device cpu \
        --out broken --no-report --outputs off --quiet 2>&1 | head -3
    echo "  $before epochs on $device, then $(wc -l <broken/log.jsonl) in all"
    ;;
speed)
    [ -d images32 ] || python3 "$here/images.py" images32 32 "${small:+160}" || exit 1
    # A software device takes a minute for what a GPU does in a second.
    everything="cnn8-64 resnet44"
    [ -n "$small" ] || everything="$everything resnet50"
    networks=${NETWORKS:-$everything}
    batch=${small:+32}
    epochs_of=${small:+2}
    case $networks in *resnet50*)
        [ -d images224 ] || python3 "$here/images.py" images224 224 "${small:+64}" || exit 1 ;;
    esac
    one() {
        name=$1
        shift
        echo "pemm $name"
        rm -rf run
        timeout "${LIMIT:-90}" ./pemm train "$@" --seed 1 --preset ce --device "$device" --out run \
            --no-report --outputs off --quiet >"$out/$name.txt" 2>&1 || tail -3 "$out/$name.txt"
        epochs run
        cp run/log.jsonl "$out/$name.jsonl"
        nvidia-smi --query-gpu=memory.used --format=csv,noheader 2>/dev/null
    }
    for network in $networks; do
        case $network in
        cnn8-64) one cnn8-64 images32 --set model.backbone=cnn8 --set model.width=64 --batch "${batch:-128}" --epochs "${epochs_of:-4}" ;;
        resnet50) one resnet50 images224 --set model.backbone=resnet50 --batch 64 --epochs 3 ;;
        *) one "$network" images32 --set model.backbone="$network" --batch "${batch:-128}" --epochs "${epochs_of:-4}" ;;
        esac
    done
    [ -n "$small${NO_TORCH:-}" ] || timeout "$seconds" python3 "$here/torch_gpu.py" "$out/torch.json"
    ;;
cells)
    [ -d cifar10 ] || { mkdir cifar10 && tar -xzf "$carry/cifar10-jpeg.tar.gz" -C cifar10; }
    cp "$here/cells.toml" .
    timeout -s INT "$seconds" ./pemm grid cells.toml --device "$device" --jobs "${JOBS:-3}" --out cells \
        --records "$out/records" 2>&1 | tail -5
    for log in cells/*/log.jsonl; do
        echo "$log: $(wc -l <"$log") epochs; $(tail -1 "$log")"
    done
    # In two files: what comes back may be limited to 16 MB a file.
    tar -czf "$out/cells.tar.gz" --exclude='state.safetensors' cells
    if ls cells/*/state.safetensors >/dev/null 2>&1; then
        tar -czf "$out/states.tar.gz" cells/*/state.safetensors
    fi
    ;;
*)
    echo "smoke, speed or cells" >&2
    exit 2
    ;;
esac
