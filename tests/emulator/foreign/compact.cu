// Keeps the positive numbers of a block in order: ballot, popc, shuffles.
extern "C" __global__ void compact(int *out, int *count, const int *in)
{
    __shared__ int start[5];
    int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    int value = in[threadIdx.x];
    unsigned votes = __ballot_sync(~0u, value > 0);
    int before = __popc(votes & ((1u << lane) - 1));
    if (lane == 0)
        start[warp + 1] = __popc(votes);
    __syncthreads();
    if (warp == 0) {
        int n = lane >= 1 && lane < 5 ? start[lane] : 0;
        for (int d = 1; d < 32; d *= 2) {
            int m = __shfl_up_sync(~0u, n, d);
            if (lane >= d)
                n += m;
        }
        if (lane < 5)
            start[lane] = n;
        if (lane == 4)
            *count = n;
    }
    __syncthreads();
    if (value > 0)
        out[start[warp] + before] = value;
}
