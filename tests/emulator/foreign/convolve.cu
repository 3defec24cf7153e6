// A 7-tap filter held in constant memory, halo in shared memory.
__constant__ float taps[7] = {1, -2, 3, 4, 3, -2, 1};
__device__ int launches = 41;
extern "C" __global__ void convolve(float *out, int *seen, const float *in,
                                    int n)
{
    __shared__ float tile[64 + 6];
    int i = blockIdx.x * 64 + threadIdx.x;
    tile[threadIdx.x + 3] = i < n ? in[i] : 0;
    if (threadIdx.x < 3) {
        tile[threadIdx.x] = i >= 3 ? in[i - 3] : 0;
        tile[threadIdx.x + 67] = i + 64 < n ? in[i + 64] : 0;
    }
    __syncthreads();
    float sum = 0;
    for (int k = 0; k < 7; k++)
        sum += taps[k] * tile[threadIdx.x + k];
    if (i < n)
        out[i] = sum;
    if (i == 0)
        *seen = launches + 1;
}
