#!/bin/bash
# gpu-bundle.sh -- the programs of the GPU bundle, where there is no GPU: on the
# emulator, and through the CUDA implementation on the driver look-alike.
. "$(dirname "$0")/lib.bash"
gpu=${TSR_PROGRAMS:-build}
[ -x "$gpu/gpu/gpu_check" ] || gpu=build/release
bundle=$scratch/bundle

if ! "$gpu/gpu/gpu_prepare" --small "$bundle" sm_90a >"$scratch/said" 2>&1; then
    if grep -q libnvrtc "$scratch/said"; then
        echo "SKIP: no NVRTC to compile the candidates with"
        exit 0
    fi
    cat "$scratch/said"
    exit 1
fi
expect 0 ' exact, 0 failed' "$gpu/gpu/gpu_check" --device emulator:sm_90a \
    --folder "$bundle" --output "$scratch/emulated" --largest 1e8
expect 0 '"failed": 0' cat "$scratch/emulated/results.json"
expect 0 '"verdict":"passed"' cat "$scratch/emulated/conformance.jsonl"
expect 0 ' exact, 0 failed' \
    env TESSERA_CUDA_LIBRARY="${TSR_LOOKALIKE:-$gpu/lookalike/libcuda.so.1}" \
    "$gpu/gpu/gpu_check" --device cuda:0 --folder "$bundle" \
    --output "$scratch/cuda" --largest 1e8

# A kernel of another problem in a candidate's place must not pass.
sed -i 's/ n=256 k=384 m=33 / n=256 k=384 m=32 /; s/file=[0-9]*/file=0000/' \
    "$bundle/candidates/candidates.txt"
expect 1 'reference says|overflow|out-of-bounds|differs|workspace' \
    "$gpu/gpu/gpu_check" --device emulator:sm_90a --only candidates \
    --folder "$bundle" --output "$scratch/wrong" --largest 1e8
expect 2 'usage' "$gpu/gpu/gpu_check" --only everything
expect 1 'candidates.txt' "$gpu/gpu/gpu_check" --device emulator:sm_90a \
    --only candidates --folder "$scratch" --output "$scratch/none"
finish
