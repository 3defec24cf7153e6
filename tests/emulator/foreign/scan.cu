// Inclusive prefix sum of one block, two shared buffers taking turns.
__global__ void scan(float *out, const float *in, int n)
{
    extern __shared__ float buffer[];
    int from = 0, i = threadIdx.x;
    buffer[i] = i < n ? in[i] : 0.0f;
    for (int step = 1; step < (int)blockDim.x; step *= 2) {
        __syncthreads();
        float value = buffer[from * blockDim.x + i];
        if (i >= step)
            value += buffer[from * blockDim.x + i - step];
        from = 1 - from;
        buffer[from * blockDim.x + i] = value;
    }
    __syncthreads();
    if (i < n)
        out[i] = buffer[from * blockDim.x + i];
}
