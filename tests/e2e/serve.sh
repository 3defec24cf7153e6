# serve.sh -- tessera-serve holds no compiler and needs none.
. "$(dirname "$0")/lib.bash"
if ldd "$serve" | grep -iE 'lua|nvrtc'; then failures=1; fi
if grep -aicE 'nvrtc|lua_newstate|lua 5\.4' "$serve" | grep -v '^0$'; then
    echo "FAILED: strings of Lua or NVRTC in tessera-serve"; failures=1
fi
cache=$scratch/cache
export TESSERA_CACHE_DIR=$cache
expect 0 . "$tessera" quantize --model $tiny --method rtn --weights w4g128 \
    -o "$scratch/w4"
expect 0 . "$tessera" tune --model "$scratch/w4" --device emulator:sm_80 \
    --db "$scratch/t.db" --buckets 1,16
expect 0 . "$tessera" pack --db "$scratch/t.db" --model "$scratch/w4" \
    --arch sm_80 -o "$scratch/t.tpk"
# NVRTC absent: named a library that does not exist. A deployer sees no change;
# who compiles is told how to get it.
export TESSERA_NVRTC=$scratch/no/libnvrtc.so
expect 0 . "$serve" check --package "$scratch/t.tpk" --model "$scratch/w4" \
    --device emulator:sm_80
expect 0 '"ok":true|"status":"ok"' "$serve" check --json \
    --package "$scratch/t.tpk" --model "$scratch/w4" --device emulator:sm_80
refuses 2 'usage|unknown' "$serve" wibble
refuses 2 '--package is needed' "$serve" check
refuses 1 'no/such.tpk' "$serve" check --package "$scratch/no/such.tpk"
refuses 2 'unknown device' "$serve" check --package "$scratch/t.tpk" \
    --device gpu9
head -c 5000 "$scratch/t.tpk" >"$scratch/cut.tpk"
refuses 1 'cut.tpk' "$serve" check --package "$scratch/cut.tpk"
rm -rf "$cache"
refuses 1 'TESSERA_NVRTC|make deps' "$tessera" compile gemm_w4a8 \
    format=w4c n=64 k=64 m=1 arch=sm_80
finish
