# tune.sh -- tune, look, exchange, pack and verify, as a person would.
. "$(dirname "$0")/lib.bash"
export TESSERA_CACHE_DIR=$scratch/cache
device=emulator:sm_80

same() { # WHAT A B: two texts that must be equal
    [ "$2" = "$3" ] || { failures=$((failures + 1))
        echo "FAILED: $1"; diff <(echo "$2") <(echo "$3") | head -5; }
}
check() { # WHAT COMMAND...: must succeed
    local what=$1; shift
    "$@" || { failures=$((failures + 1)); echo "FAILED: $what"; }
}

expect 0 . "$tessera" quantize --model $tiny --method rtn --weights w4c \
    -o "$scratch/w4c"
tune() { "$tessera" tune --model "$scratch/w4c" --device $device "$@"; }

# What would be done, and bad usage
expect 0 '^gemm_w4a8 arch=sm_80 bias=0 format=w4c k=1024 m=8 n=256 out=f16$' \
    tune --dry-run --buckets 8
refuses 2 'buckets' tune --buckets 16,1 --db "$scratch/a.db"
refuses 2 'quantised as w4c' tune --weights w4g64 --db "$scratch/a.db"
refuses 2 'model' "$tessera" tune --db "$scratch/a.db"
absent "$scratch/a.db"

# A run, and a second that has nothing to do
expect 0 'predicted.*variant=mma' tune --db "$scratch/a.db" --buckets 1,16 \
    --limit 4 --finalists 2
first=$("$tessera" db show --db "$scratch/a.db" --json)
expect 0 '"fresh":0,' tune --db "$scratch/a.db" --buckets 1,16 \
    --limit 4 --finalists 2 --json
same "a second run changes nothing" "$first" \
    "$("$tessera" db show --db "$scratch/a.db" --json)"
check "14 winners" [ "$(echo "$first" | wc -l)" = 14 ]
check "all predicted, none measured" \
    [ "$(echo "$first" | grep -c '"status":"predicted"')" = 14 ]
expect 0 'everything matches' "$tessera" db verify --db "$scratch/a.db"
expect 0 'no measured row' "$tessera" db stats --db "$scratch/a.db"
expect 0 '"error":""' "$tessera" db show --all --db "$scratch/a.db" --json
refuses 2 'show' "$tessera" db wibble --db "$scratch/a.db"
refuses 2 'db' "$tessera" db show

# Two parts, merged, win as each did (buckets of one run try each other's best,
# so parts are whole shapes or whole buckets, never compared with one run)
winners() { "$tessera" db show --db "$1" --json |
    sed -E 's/,"time":"[^"]*"//' | sort; }
for bucket in 1 16; do
    expect 0 . tune --db "$scratch/half$bucket.db" --buckets $bucket \
        --limit 4 --finalists 2
    winners "$scratch/half$bucket.db" >>"$scratch/parts"
done
for n in 1 2; do
    expect 0 'new attempts' "$tessera" db merge "$scratch/half16.db" \
        --db "$scratch/half1.db"
done
expect 0 ': 0 new attempts' "$tessera" db merge "$scratch/half16.db" \
    --db "$scratch/half1.db"
same "merged parts win as they did" "$(sort "$scratch/parts")" \
    "$(winners "$scratch/half1.db")"

# Out as lines and in again
"$tessera" db export --db "$scratch/a.db" >"$scratch/a.jsonl"
expect 0 'new rows' "$tessera" db import "$scratch/a.jsonl" \
    --db "$scratch/b.db"
same "an imported database wins as its source" "$first" \
    "$("$tessera" db show --db "$scratch/b.db" --json)"
expect 0 'everything matches' "$tessera" db verify --db "$scratch/b.db"
expect 0 '^0 new rows' "$tessera" db import "$scratch/a.jsonl" \
    --db "$scratch/b.db"
sed 's/"table":"blob"/"table":"wibble"/' "$scratch/a.jsonl" >"$scratch/bad"
refuses 1 'line' "$tessera" db import "$scratch/bad" --db "$scratch/c.db"

# Packages: the same inputs, the same bytes
pack() { "$tessera" pack --model "$scratch/w4c" "$@"; }
expect 0 '14 tuned kernels' pack --db "$scratch/a.db" -o "$scratch/a.tpk"
expect 0 . pack --db "$scratch/a.db" -o "$scratch/again.tpk"
check "the same package twice" cmp "$scratch/a.tpk" "$scratch/again.tpk"
expect 0 '14 tuned kernels' pack --db "$scratch/half1.db" \
    --db "$scratch/half16.db" -o "$scratch/two.tpk"
expect 0 'every hash matches' "$tessera" pack verify "$scratch/a.tpk"
refuses 2 'db' pack -o "$scratch/none.tpk"
refuses 2 'arch' pack --db "$scratch/a.db" --arch sm_75 -o "$scratch/none.tpk"
absent "$scratch/none.tpk"

# A disk that is full, places that cannot be written
full() { (trap '' XFSZ; ulimit -f 100; "$@"); }
refuses 1 'full.db.*disk full' full "$tessera" tune --model "$scratch/w4c" \
    --device $device --db "$scratch/full.db" --buckets 1,16 --limit 4
expect 0 'everything matches' "$tessera" db verify --db "$scratch/full.db"
refuses 1 'full.tpk' full "$tessera" pack --db "$scratch/a.db" \
    --model "$scratch/w4c" -o "$scratch/full.tpk"
absent "$scratch/full.tpk"
refuses 1 'proc/self' tune --db /proc/self/a.db
refuses 1 'not a regular file' "$tessera" db show --db "$scratch"

# On the model's own weights
expect 0 'all exact' "$tessera" verify --model "$scratch/w4c" \
    --package "$scratch/a.tpk" --device $device --reference $tiny --rows 16
expect 0 '"exact":true,"rel_error":0\.' "$tessera" verify --json \
    --model "$scratch/w4c" --package "$scratch/a.tpk" --device $device \
    --reference $tiny --rows 3
check "no launch is inexact" [ "$(grep -c '"exact":false' "$scratch/.out")" = 0 ]
expect 0 . "$tessera" quantize --model $tiny --method rtn --weights w4g64 \
    -o "$scratch/w4g64"
refuses 1 'no kernel for .*w4g64' "$tessera" verify --model "$scratch/w4g64" \
    --package "$scratch/a.tpk" --device $device
expect 0 '14 tuned' pack --db "$scratch/a.db" --no-ptx -o "$scratch/bare.tpk"
refuses 1 'without PTX' "$tessera" verify --model "$scratch/w4c" \
    --package "$scratch/bare.tpk" --device $device

# One kernel
expect 0 '"exact":true,"findings":0,' "$tessera" bench gemm n=256 k=1024 m=16 \
    format=w4c --device $device --db "$scratch/a.db" --json
expect 0 'exact' "$tessera" bench gemm n=64 k=128 m=3 variant=naive \
    --device $device
refuses 1 'no winner' "$tessera" bench gemm n=64 k=128 m=3 --device $device \
    --db "$scratch/a.db"
refuses 2 'gemm' "$tessera" bench wibble
finish
