// A switch in a loop, with functions that are not inlined.
__device__ __noinline__ int power(int base, int exponent)
{
    int result = 1;
    while (exponent-- > 0)
        result *= base;
    return result;
}
__device__ __noinline__ void split(int value, int *high, int *low)
{
    *high = value / 10;
    *low = value % 10;
}
extern "C" __global__ void interpreter(int *out, const int *program, int steps)
{
    int x = threadIdx.x, y = 1, high, low;
    for (int i = 0; i < steps; i++) {
        switch (program[(i + threadIdx.x) % steps] & 7) {
        case 0:
            x += 3;
            break;
        case 1:
            x = x * 5 - y;
            break;
        case 2:
            y ^= x;
            break;
        case 3:
            x = power(x & 3, y & 7);
            break;
        case 4:
            split(x & 1023, &high, &low);
            x = high + 31 * low;
        case 5:
            y++;
            break;
        case 6:
            if (x & 1)
                continue;
            x >>= 1;
            break;
        default:
            x = -x;
        }
        y += i;
    }
    out[threadIdx.x] = x + 7 * y;
}
