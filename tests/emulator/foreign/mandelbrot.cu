// Escape times: a loop that every lane leaves when it likes.
struct point {
    float re, im;
};
__device__ static float squared(point z)
{
    return z.re * z.re + z.im * z.im;
}
__global__ void mandelbrot(unsigned char *out, int width, int height, int limit)
{
    int x = blockIdx.x * blockDim.x + threadIdx.x;
    int y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= height)
        return;
    point c = {-2.0f + 3.0f * x / width, -1.0f + 2.0f * y / height}, z = c;
    int n = 0;
    while (n < limit && squared(z) < 4.0f) {
        float re = z.re * z.re - z.im * z.im + c.re;
        z.im = 2 * z.re * z.im + c.im;
        z.re = re;
        n++;
    }
    out[y * width + x] = n;
}
