# lib.bash -- for the scripts of this folder: run a command, look at its exit
# status and at what it said.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
programs=${TSR_PROGRAMS:-build}
tessera=$programs/tessera
serve=$programs/tessera-serve
tiny=tests/data/models/tessera-tiny
scratch=$(mktemp -d "${TSR_TEST_TMP:-${TMPDIR:-/tmp}}/e2e.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
failures=0

# expect STATUS PATTERN COMMAND...: the exit status, and a line of stdout or
# stderr that matches the extended regular expression ('': whatever it says).
expect() {
    local status=$1 pattern=$2 got; shift 2
    "$@" >"$scratch/.out" 2>"$scratch/.err" </dev/null; got=$?
    if [ $got != "$status" ] || { [ -n "$pattern" ] &&
        ! cat "$scratch/.out" "$scratch/.err" | grep -qE -- "$pattern"; }; then
        failures=$((failures + 1))
        echo "FAILED: $*"
        echo "  exit $got, expected $status and a line matching: $pattern"
        head -c 2000 "$scratch/.out"; head -c 2000 "$scratch/.err"
    fi
}

# refuses STATUS PATTERN COMMAND...: as expect, and the complaint is one line
# on stderr.
refuses() {
    expect "$@"
    local lines; lines=$(wc -l <"$scratch/.err")
    if [ "$lines" != 1 ]; then
        failures=$((failures + 1))
        echo "FAILED: ${*:3}"; echo "  $lines lines on stderr, expected one"
        cat "$scratch/.err"
    fi
}

# absent PATH...: a refused command leaves no file behind, not even half.
absent() {
    local path
    for path in "$@"; do
        if ls -d "$path" "$path".tmp* >/dev/null 2>&1; then
            failures=$((failures + 1)); echo "FAILED: '$path' was left behind"
        fi
    done
}

finish() { [ $failures = 0 ] || { echo "$failures failures"; exit 1; }; }
