# bad-input.sh -- each wrong input is refused with one line that says what to
# do, the right exit status, and no half-written file.
. "$(dirname "$0")/lib.bash"
export TESSERA_CACHE_DIR=$scratch/cache

quantize() { "$tessera" quantize --method rtn --weights w4g128 "$@"; }
spoil() { # NAME EDIT: a copy of the demo model with an edited config.json
    mkdir -p "$scratch/$1"
    for f in tokenizer.json model.safetensors tokenizer_config.json; do
        ln -sf "$PWD/$tiny/$f" "$scratch/$1/$f"
    done
    sed -E "$2" $tiny/config.json >"$scratch/$1/config.json"
}

# SPECs
refuses 2 'family' "$tessera" gen gemm_w5a8 n=64 k=64
refuses 2 'multiple of 8' "$tessera" gen gemm_w4a8 n=7 k=128
refuses 2 'multiple' "$tessera" gen gemm_w4a8 format=w4g128 n=64 k=100
refuses 2 '66311|66,311' "$tessera" gen gemm_w4a8 n=64 k=131072
refuses 2 'sm_80' "$tessera" compile gemm_w4a8 n=64 k=128 arch=sm_75
refuses 2 'token_tile|shared' "$tessera" gen gemm_w4a8 n=4096 k=4096 \
    arch=sm_89 channel_tile=256 token_tile=256 k_tile=256 stages=6
refuses 2 'chanel_tile' "$tessera" gen gemm_w4a8 n=64 k=128 chanel_tile=64
refuses 2 'n=|whole' "$tessera" gen gemm_w4a8 n=x k=128
refuses 2 '.' "$tessera" gen
refuses 2 'unknown command' "$tessera" wibble

# Scripts and templates
mkdir -p "$scratch/s/templates" "$scratch/s/gen/lua"
cp templates/quant_act.cu.tmpl "$scratch/s/templates/"
echo '${nobody_fills_this}' >>"$scratch/s/templates/quant_act.cu.tmpl"
refuses 1 'quant_act.cu.tmpl:[0-9]+' "$tessera" gen --scripts "$scratch/s" \
    quant_act k=64
sed -i '$d' "$scratch/s/templates/quant_act.cu.tmpl"
echo 'this is not CUDA;' >>"$scratch/s/templates/quant_act.cu.tmpl"
refuses 1 'quant_act.cu.tmpl.[0-9]+' "$tessera" compile \
    --scripts "$scratch/s" quant_act k=64 arch=sm_80
echo 'while true do end' >"$scratch/s/gen/lua/plan.lua"
refuses 1 'plan.lua|limit' "$tessera" gen --scripts "$scratch/s" gemm_w4a8 \
    n=64 k=128

# Models
refuses 1 'no/model' quantize --model "$scratch/no/model" -o "$scratch/q"
for edit in '/hidden_size/d' 's/("hidden_size": )256/\1-256/' \
    's/("num_hidden_layers": )4/\14000000000/' \
    's/("num_attention_heads": )4/\1"four"/' 's/LlamaForCausalLM/Wibble/' \
    's/("num_key_value_heads": )2/\13/' '1s/\{/[/'; do
    spoil bad "$edit"
    refuses 1 'config.json' quantize --model "$scratch/bad" -o "$scratch/q"
    absent "$scratch/q"
done
spoil cut 's/x/x/'
rm "$scratch/cut/model.safetensors"
head -c 1000000 $tiny/model.safetensors >"$scratch/cut/model.safetensors"
refuses 1 'model.safetensors' quantize --model "$scratch/cut" -o "$scratch/q"
absent "$scratch/q"
printf '\377\377\377\377\377\377\377\177{}' >"$scratch/cut/model.safetensors"
refuses 1 'model.safetensors' quantize --model "$scratch/cut" -o "$scratch/q"
rm "$scratch/cut/model.safetensors"
echo >"$scratch/cut/pytorch_model.bin"
refuses 1 'pytorch_model.bin' quantize --model "$scratch/cut" -o "$scratch/q"
refuses 2 'rtn' "$tessera" quantize --model $tiny --method wibble \
    --weights w4c -o "$scratch/q"
refuses 2 'w4g128' "$tessera" quantize --model $tiny --method rtn \
    --weights w5 -o "$scratch/q"
absent "$scratch/q"

# A place that cannot be written, a disk that is full
refuses 1 '/proc/self/q' quantize --model $tiny -o /proc/self/q
full() { (trap '' XFSZ; ulimit -f 64; "$@"); }
refuses 1 'File too large|No space' full "$tessera" quantize --method rtn \
    --weights w4g128 --model $tiny -o "$scratch/q"
absent "$scratch/q"

# Databases and packages
expect 0 . quantize --model $tiny -o "$scratch/w4"
refuses 1 'w4' quantize --model $tiny -o "$scratch/w4"
echo 'not a database' >"$scratch/text.db"
refuses 1 'text.db' "$tessera" db show --db "$scratch/text.db"
refuses 1 'text.db' "$tessera" tune --model "$scratch/w4" \
    --device emulator:sm_80 --db "$scratch/text.db"
cmp -s <(echo 'not a database') "$scratch/text.db" ||
    { echo "FAILED: a foreign file was changed"; failures=1; }
refuses 1 'none.db' "$tessera" db show --db "$scratch/none.db"
absent "$scratch/none.db"
refuses 2 'device' "$tessera" tune --model "$scratch/w4" --device gpu9 \
    --db "$scratch/t.db"
refuses 1 'none.tpk' "$tessera" pack verify "$scratch/none.tpk"
echo 'not a package' >"$scratch/text.tpk"
refuses 1 'text.tpk' "$tessera" pack verify "$scratch/text.tpk"
expect 0 . "$tessera" tune --model "$scratch/w4" --device emulator:sm_80 \
    --db "$scratch/t.db" --buckets 16
expect 0 . "$tessera" pack --db "$scratch/t.db" --model "$scratch/w4" \
    --arch sm_80 -o "$scratch/t.tpk"
refuses 1 't.tpk|t.db' "$tessera" pack verify "$scratch/t.db"
refuses 1 't.tpk' "$tessera" db show --db "$scratch/t.tpk"
size=$(stat -c %s "$scratch/t.tpk")
for at in 30 $((size / 3)) $((size / 2)) $((size - 3000)); do
    cp "$scratch/t.tpk" "$scratch/hurt.tpk"
    printf '\245\132\245\132\245\132\245\132' |
        dd of="$scratch/hurt.tpk" bs=1 seek=$at conv=notrunc 2>/dev/null
    refuses 1 'hurt.tpk' "$tessera" pack verify "$scratch/hurt.tpk"
done
refuses 1 '/proc/self' "$tessera" pack --db "$scratch/t.db" \
    --model "$scratch/w4" --arch sm_80 -o /proc/self/t.tpk
expect 0 . "$tessera" quantize --model $tiny --method rtn --weights w4c \
    -o "$scratch/w4c"
refuses 1 'no kernel' "$tessera" verify --model "$scratch/w4c" \
    --package "$scratch/t.tpk" --device emulator:sm_80

# NVRTC missing
rm -rf "$scratch/cache"
TESSERA_NVRTC=$scratch/no.so refuses 1 'make deps' "$tessera" compile \
    gemm_w4a8 n=64 k=128 arch=sm_80

# PTX and arguments of the emulator
echo '.version 8.0' >"$scratch/a.ptx"
refuses 2 'a.ptx' "$tessera" emulate "$scratch/a.ptx" --grid 1 --block 1
refuses 2 'no.ptx' "$tessera" emulate "$scratch/no.ptx" --grid 1 --block 1
finish
