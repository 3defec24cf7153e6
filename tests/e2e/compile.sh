# compile.sh -- every architecture and weight format compiles without spills,
# and says so in JSON.
. "$(dirname "$0")/lib.bash"
for arch in sm_80 sm_86 sm_89 sm_90a sm_100a sm_120a; do
    for format in w4c w4g128 w4g64; do
        expect 0 '"spill_bytes":0[,}]' "$tessera" compile gemm_w4a8 \
            format=$format n=4096 k=4096 m=16 arch=$arch --json
        grep -qE '"registers":[1-9][0-9]*' "$scratch/.out" &&
            grep -qE '"compile_ms":[0-9.]+' "$scratch/.out" ||
            { echo "FAILED: $arch $format"; cat "$scratch/.out"; failures=1; }
    done
done
# The whole SPEC may come as one word, as a person pastes it.
expect 0 '"registers":[1-9]' "$tessera" compile \
    'gemm_w4a8 format=w4c n=128 k=96 m=1 arch=sm_80' --json
# The same SPEC gives the same text from any directory and in any locale.
"$tessera" gen gemm_w4a8 n=512 k=512 arch=sm_80 >"$scratch/a.cu"
here=$PWD
(cd / && LC_ALL=de_DE.UTF-8 "$(cd "$here" && realpath "$tessera")" gen \
    gemm_w4a8 k=512 n=512 arch=sm_80 >"$scratch/b.cu")
cmp "$scratch/a.cu" "$scratch/b.cu" || failures=1
[ -s "$scratch/a.cu" ] || failures=1
finish
