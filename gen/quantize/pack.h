/* pack.h -- codes to packed bytes and back (runtime/model/layout.h has the
** drawing). */
#ifndef GEN_QUANTIZE_PACK_H
#define GEN_QUANTIZE_PACK_H

#include <stddef.h>
#include <stdint.h>

/* codes [n][k], one a byte, 0..15; qweight has tsr__packed_bytes(n, k) bytes,
** all of which are written (padding: 0). */
void gen_pack_codes(const uint8_t *codes, size_t n, size_t k, uint8_t *qweight);
void gen_unpack_codes(const uint8_t *qweight, size_t n, size_t k,
                      uint8_t *codes);
/* Whether all padding holds code 0, as the kernels rely on. */
int gen_packed_padding_is_zero(const uint8_t *qweight, size_t n, size_t k);

#endif
