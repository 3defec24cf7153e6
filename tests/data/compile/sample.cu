// sample.cu -- a kernel with one of each thing the compiler host reports:
// static shared memory, a barrier, a loop with tensor-core instructions, a
// stack frame. The cubins in tests/fuzz/corpus/cubin were made from it.
#line 5 "templates/sample.cu.tmpl"
extern "C" __global__ void __launch_bounds__(64)
sample(int *out, const int *in, int steps, int index)
{
    __shared__ int tile[64];
    int stack[32] = {0};
    int c0 = 0, c1 = 0, c2 = 0, c3 = 0;
    tile[threadIdx.x] = in[threadIdx.x];
    __syncthreads();
#pragma unroll 1
    for (int i = 0; i < steps; i++) {
        int a = in[i], b = tile[i & 63];
        asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 "
                     "{%0,%1,%2,%3}, {%4,%4,%4,%4}, {%5,%5}, {%0,%1,%2,%3};"
                     : "+r"(c0), "+r"(c1), "+r"(c2), "+r"(c3)
                     : "r"(a), "r"(b));
        stack[a & 31] = b;
    }
    out[threadIdx.x] = stack[index & 31] + c1 + c2 + c3;
}
