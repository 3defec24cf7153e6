// Bitonic sort of 512 integers in shared memory.
extern "C" __global__ void bitonic(int *data)
{
    __shared__ int s[512];
    unsigned tid = threadIdx.x;
    s[tid] = data[tid];
    __syncthreads();
    for (unsigned k = 2; k <= 512; k *= 2)
        for (unsigned j = k / 2; j > 0; j /= 2) {
            unsigned other = tid ^ j;
            if (other > tid) {
                bool up = (tid & k) == 0;
                if ((s[tid] > s[other]) == up) {
                    int swap = s[tid];
                    s[tid] = s[other];
                    s[other] = swap;
                }
            }
            __syncthreads();
        }
    data[tid] = s[tid];
}
