# doctor.sh -- doctor, compile of a .cu file, and the compile cache, as a
# person uses them.
. "$(dirname "$0")/lib.bash"
export TESSERA_CACHE_DIR=$scratch/cache
sample=tests/data/compile/sample.cu

expect 0 '^ready$' "$tessera" doctor
expect 0 '"usable":true' "$tessera" doctor --json
expect 0 'emulator:sm_120a' "$tessera" doctor
refuses 2 'only options' "$tessera" doctor now
TESSERA_NVRTC=$scratch/none.so expect 1 'make deps' "$tessera" doctor
TESSERA_NVRTC=$scratch/none.so expect 1 '"usable":false' "$tessera" doctor --json
TESSERA_CUDA_LIBRARY=$scratch/none.so expect 0 'driver +none' "$tessera" doctor
if [ -r "${TSR_LOOKALIKE:-}" ]; then
    export TESSERA_CUDA_LIBRARY=$TSR_LOOKALIKE
    expect 0 'cuda:0 +Look-alike GPU 0, sm_90a, 132 SMs' "$tessera" doctor
    TSR_LOOKALIKE_SET=devices=2,mig=1,capability=80 \
        expect 0 'cuda:1 .*sm_80, 16 SMs.*MIG slice' "$tessera" doctor
    TSR_LOOKALIKE_SET=driver=11080 expect 0 'as new as NVRTC' "$tessera" doctor
    TSR_LOOKALIKE_SET=missing=cuGraphLaunch expect 0 'too old' "$tessera" doctor
    TSR_LOOKALIKE_SET=init=803 expect 0 'reboot' "$tessera" doctor
    unset TESSERA_CUDA_LIBRARY
fi

expect 0 'kernels, 0.0 MiB' "$tessera" cache
expect 0 '"cached":false' "$tessera" compile $sample --arch sm_80 --json
expect 0 '"cached":true' "$tessera" compile $sample --arch sm_80 --json
expect 0 '"cached":false' "$tessera" compile $sample --arch sm_80 --json \
    --no-cache
expect 0 '"entries":1,' "$tessera" cache --json
expect 0 'removed 1 compiled' "$tessera" cache --clear
expect 0 '"entries":0,' "$tessera" cache --json
expect 0 '"main_loop":\{"instructions":[0-9]+,"mma_instructions":1\}' \
    "$tessera" compile $sample --arch sm_90a --json
expect 0 'spills 0 bytes' "$tessera" compile $sample --repeat 3 \
    -o "$scratch/out"
cmp -s $sample "$scratch/out.cu" || { echo "FAILED: .cu differs"; failures=1; }
grep -q '^.target sm_90a' "$scratch/out.ptx" &&
    [ "$(head -c 4 "$scratch/out.cubin" | tail -c 3)" = ELF ] ||
    { echo "FAILED: -o wrote something else"; failures=1; }
refuses 1 'none/out' "$tessera" compile $sample -o "$scratch/none/out"
refuses 1 'none.cu' "$tessera" compile "$scratch/none.cu"
refuses 1 'sm_1' "$tessera" compile $sample --arch sm_1
refuses 2 'repeat' "$tessera" compile $sample --repeat 0
refuses 2 'SPEC' "$tessera" compile
echo '#line 9 "templates/t.cu.tmpl"
oops' >"$scratch/bad.cu"
refuses 1 'templates/t.cu.tmpl\(9\): error' "$tessera" compile "$scratch/bad.cu"
# A cache that cannot be written costs time, nothing else.
TESSERA_CACHE_DIR=/dev/null expect 0 '"cached":false' "$tessera" compile \
    $sample --json
finish
