// C = A B with 16 x 16 shared tiles, any size.
template <int T>
__device__ void multiply(float *c, const float *a, const float *b, int n)
{
    __shared__ float ta[T][T], tb[T][T];
    int x = blockIdx.x * T + threadIdx.x, y = blockIdx.y * T + threadIdx.y;
    float sum = 0;
    for (int t = 0; t < n; t += T) {
        ta[threadIdx.y][threadIdx.x] =
            y < n && t + threadIdx.x < n ? a[y * n + t + threadIdx.x] : 0;
        tb[threadIdx.y][threadIdx.x] =
            x < n && t + threadIdx.y < n ? b[(t + threadIdx.y) * n + x] : 0;
        __syncthreads();
        for (int k = 0; k < T; k++)
            sum += ta[threadIdx.y][k] * tb[k][threadIdx.x];
        __syncthreads();
    }
    if (x < n && y < n)
        c[y * n + x] = sum;
}
__global__ void matmul(float *c, const float *a, const float *b, int n)
{
    multiply<16>(c, a, b, n);
}
