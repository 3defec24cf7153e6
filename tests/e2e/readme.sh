# readme.sh -- every command that README.md shows is run, in its order, and
# succeeds; `make` words it names exist.
. "$(dirname "$0")/lib.bash"
count=0
while read -r line; do
    command=${line//build\/tessera/$programs/tessera}
    command=${command//build\/tiny/$scratch/tiny}
    expect 0 . bash -c "$command"
    count=$((count + 1))
done < <(grep -E '^    build/tessera' README.md | sed 's/^    //')
[ $count -ge 14 ] || { echo "FAILED: only $count commands"; failures=1; }
for word in $(grep -oE '`?make [a-z-]+' README.md | sed 's/.*make //' | sort -u); do
    expect 0 "^make $word " make -s help
done
finish
