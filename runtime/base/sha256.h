/* sha256.h -- SHA-256 (FIPS 180-4): names for compiled code and package blobs.
 */
#ifndef TSR_BASE_SHA256_H
#define TSR_BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define TSR_SHA256_BYTES 32
#define TSR_SHA256_HEX   65 /* 64 digits and the NUL */

struct tsr_sha256 {
    uint32_t state[8];
    uint64_t bytes;
    unsigned char block[64];
};

void tsr__sha256_init(struct tsr_sha256 *sha);
void tsr__sha256_add(struct tsr_sha256 *sha, const void *bytes, size_t size);
void tsr__sha256_finish(struct tsr_sha256 *sha,
                        unsigned char digest[TSR_SHA256_BYTES]);

void tsr__sha256_hex(const void *bytes, size_t size, char hex[TSR_SHA256_HEX]);
void tsr__hex(const unsigned char *bytes, size_t size, char *hex);

#endif
