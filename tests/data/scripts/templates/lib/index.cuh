// index.cuh -- where a thread is.
__device__ inline int global_thread()
{
    return (int)(blockIdx.x * blockDim.x + threadIdx.x);
}
