# install.sh -- what `make install` leaves is enough to build against: one
# header, one library, no C++, nothing of gen/ or autotune/.
. "$(dirname "$0")/lib.bash"
[ "$programs" -ef build ] || { echo "SKIP: only the release build installs"; exit 0; }
expect 0 '' make -s install PREFIX="$scratch/usr"
for file in bin/tessera bin/tessera-serve lib/libtessera.a include/tessera.h; do
    [ -s "$scratch/usr/$file" ] || { echo "FAILED: no $file"; failures=1; }
done
cat >"$scratch/user.c" <<'C'
#include <stdio.h>
#include <string.h>
#include <tessera.h>

int main(void)
{
    struct tsr_device *device;
    struct tsr_package *package;
    struct tsr_error err;
    tsr_device_ptr memory;
    char text[6] = "";
    if (tsr_device_open(&device, "emulator:sm_80", &err) ||
        tsr_memory_alloc(device, 6, "text", &memory, &err) ||
        tsr_memory_write(device, memory, "hello", 6, &err) ||
        tsr_memory_read(device, text, memory, 6, &err) ||
        tsr_memory_free(device, memory, &err)) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    int rc = tsr_package_open(&package, "no/such.tpk", &err);
    printf("%s %s %d %s\n", text, tsr_device_arch(device), rc, err.text);
    tsr_device_free(device);
    return rc == TSR_EIO || rc == TSR_ENOTFOUND ? 0 : 1;
}
C
expect 0 '' gcc -std=c11 -pedantic -Wall -Wextra -Werror \
    -I "$scratch/usr/include" "$scratch/user.c" -L "$scratch/usr/lib" \
    -ltessera -lsqlite3 -ljansson -lm -ldl -pthread -o "$scratch/user"
expect 0 'hello sm_80 .*no/such.tpk' "$scratch/user"
# Every symbol of the library carries its layer's prefix.
nm -g --defined-only "$scratch/usr/lib/libtessera.a" 2>/dev/null |
    awk 'NF == 3 && $3 !~ /^(tsr_|emu_|ptx_)/ {print $3}' >"$scratch/symbols"
[ ! -s "$scratch/symbols" ] ||
    { echo "FAILED: names without a prefix:"; head "$scratch/symbols"; failures=1; }
finish
