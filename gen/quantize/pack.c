/* pack.c -- codes to packed bytes and back. */
#include "gen/quantize/pack.h"

#include <string.h>

#include "runtime/model/layout.h"

/* Walks one packed row in runs: the 4 codes at k .. k + 3 are the same nibble
** of 4 consecutive bytes, so one position serves them. */
enum { RUN = 4 };

void gen_pack_codes(const uint8_t *codes, size_t n, size_t k, uint8_t *qweight)
{
    memset(qweight, 0, tsr__packed_bytes(n, k));
    for (size_t row = 0; row < n; row++) {
        const uint8_t *from = codes + row * k;
        for (size_t at = 0; at < k; at += RUN) {
            struct tsr_packed_position to = tsr__packed_position(row, at, k);
            for (size_t i = 0; i < RUN && at + i < k; i++)
                qweight[to.offset + i] |=
                    (uint8_t)((from[at + i] & 15) << to.shift);
        }
    }
}

void gen_unpack_codes(const uint8_t *qweight, size_t n, size_t k,
                      uint8_t *codes)
{
    for (size_t row = 0; row < n; row++) {
        uint8_t *to = codes + row * k;
        for (size_t at = 0; at < k; at += RUN) {
            struct tsr_packed_position from = tsr__packed_position(row, at, k);
            for (size_t i = 0; i < RUN && at + i < k; i++)
                to[at + i] = qweight[from.offset + i] >> from.shift & 15;
        }
    }
}

int gen_packed_padding_is_zero(const uint8_t *qweight, size_t n, size_t k)
{
    size_t rows = tsr__packed_blocks(n) * TSR_BLOCK_N;
    size_t columns = tsr__packed_blocks(k) * TSR_BLOCK_K;
    for (size_t row = 0; row < rows; row++)
        for (size_t at = row < n ? k : 0; at < columns; at++)
            if (tsr__packed_code(qweight, row, at, k))
                return 0;
    return 1;
}
