/* tiles.h -- which block computes which tile of a gemm_w4a8 launch.
**
** T channel tiles and U token tiles; blockIdx.x numbers the tiles:
**   raster 0 or >= T   channel tile x % T, token tile x / T
**   raster R < T       strips of R channel tiles; inside one, channels first
**
** RASTER: gen/lua/families/gemm_w4a8.lua and its template say the same.
*/
#ifndef TUNE_TILES_H
#define TUNE_TILES_H

#include <stddef.h>
#include <stdint.h>

struct tune_tiles {
    uint64_t channels, tokens; /* T, U */
    uint64_t raster;
};

struct tune_tile {
    uint64_t channel, token;
};

static inline uint64_t tune_tile_block(const struct tune_tiles *tiles,
                                       struct tune_tile tile)
{
    uint64_t T = tiles->channels, R = tiles->raster;
    if (R == 0 || R >= T)
        return tile.token * T + tile.channel;
    uint64_t strip = tile.channel / R;
    uint64_t width = T - strip * R < R ? T - strip * R : R;
    return strip * R * tiles->tokens + tile.token * width + tile.channel % R;
}

#endif
