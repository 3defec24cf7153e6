// 64-bit arithmetic: multiply, high products, rotate, divide, popcount.
typedef unsigned long long u64;
extern "C" __global__ void hash(unsigned *out, const unsigned *in, u64 seed)
{
    u64 h = seed ^ in[threadIdx.x];
    for (int i = 0; i < 5; i++) {
        h *= 0x9e3779b97f4a7c15ull;
        h ^= h >> 29;
        h = h << 17 | h >> 47;
        h += __umul64hi(h, 0xd6e8feb86659fd93ull);
        h ^= h / ((h & 0xffff) + 3);
        h -= (u64)((long long)h % 1000003);
        h += __popcll(h) + (__clzll(h) << 8) + (u64)__brevll(h & 255);
    }
    out[2 * threadIdx.x] = (unsigned)h;
    out[2 * threadIdx.x + 1] = (unsigned)(h >> 32);
}
