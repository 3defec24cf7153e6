# gen.sh -- tessera gen: every stage, --set, --scripts, -o, --json.
. "$(dirname "$0")/lib.bash"
spec='gemm_w4a8 format=w4g128 n=512 k=512 m=16 arch=sm_80'

expect 0 'extern "C" __global__' "$tessera" gen $spec
expect 0 '^gemm_w4a8 arch=sm_80 bias=0 channel_tile=' "$tessera" gen $spec \
    --stage spec
expect 0 ' us +[0-9]+ threads +[0-9]+ B shared  gemm_w4a8 arch=sm_80' \
    "$tessera" gen $spec --stage plan
expect 0 '^;emit\(1,' "$tessera" gen $spec --stage lua
expect 0 '^\{"axes":\{.*"key":"gemm_w4a8 arch=sm_80' "$tessera" gen $spec \
    --stage spec --json
expect 0 '^\{"estimate_us":[0-9.]+,"launch":\{' "$tessera" gen $spec \
    --stage plan --json
expect 0 '"entry":"gemm_w4a8".*"source":"// Emitted by' "$tessera" gen $spec \
    --json

# --set replaces a word or adds one.
expect 0 ' arch=sm_90a .* stages=3 ' "$tessera" gen $spec --stage spec \
    --set arch=sm_90a --set stages=3
refuses 2 'stages is given twice' "$tessera" gen $spec --set stages=3 \
    --set stages=4
refuses 2 'must be one of spec plan lua source' "$tessera" gen $spec \
    --stage cubin

# -o writes the same text; what cannot be written leaves nothing behind.
"$tessera" gen $spec >"$scratch/a.cu"
"$tessera" gen $spec -o "$scratch/b.cu" || failures=1
cmp "$scratch/a.cu" "$scratch/b.cu" || failures=1
refuses 1 "cannot write '.*/no/c.cu'" "$tessera" gen $spec \
    -o "$scratch/no/c.cu"
absent "$scratch/no"
refuses 2 'multiple of 8' "$tessera" gen $spec --set n=7 -o "$scratch/d.cu"
absent "$scratch/d.cu"

# A family of one's own, with no build; errors name its lines.
expect 0 'tiny\(T \*y, const T \*x\)' "$tessera" gen tiny n=64 \
    --scripts tests/data/scripts
refuses 2 'unknown family .tiny.' "$tessera" gen tiny n=64
refuses 2 'has neither gen/lua nor templates' "$tessera" gen $spec \
    --scripts "$scratch"
mkdir -p "$scratch/s/gen/lua"
printf 'local x\n\nreturn x.y\n' >"$scratch/s/gen/lua/plan.lua"
refuses 1 'gen/lua/plan.lua:3: attempt to index a nil value' "$tessera" gen \
    $spec --scripts "$scratch/s"
finish
