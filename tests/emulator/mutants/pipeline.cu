// pipeline.cu -- a small int8 matrix product with a cp.async pipeline, and six
// ways to get it wrong.
//
//     y[m][n] = sum over k of x[m][k] w[n][k]        exact in int32
//
// A block computes 16 rows by 64 columns with 4 warps of 16 columns each. A
// stage holds 64 bytes of k for 16 rows of x and 64 rows of w; 3 stages. Rows
// are 4 chunks of 16 bytes, stored at chunk ^ (row / 2 & 3), so that ldmatrix
// has no bank conflicts. Rows of x at and after m are zero.
//
// -DFAULT=... plants one bug (NONE, NO_BARRIER, LAX_WAIT, BARRIER_FIRST,
// RAGGED_EDGE, WRONG_STAGE, NO_SWIZZLE).
enum { NONE, NO_BARRIER, LAX_WAIT, BARRIER_FIRST, RAGGED_EDGE, WRONG_STAGE,
       NO_SWIZZLE };

enum { ROWS = 16, COLUMNS = 64, DEPTH = 64, STAGES = 3, THREADS = 128 };
enum { CHUNKS = (ROWS + COLUMNS) * DEPTH / 16, STAGE_BYTES = CHUNKS * 16 };

__device__ __forceinline__ unsigned shared_address(const void *pointer)
{
    return (unsigned)__cvta_generic_to_shared(pointer);
}

__device__ __forceinline__ void copy_chunk(unsigned to, const void *from,
                                           int bytes)
{
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to),
                 "l"(from), "r"(bytes));
}

__device__ __forceinline__ void commit_copies()
{
    asm volatile("cp.async.commit_group;");
}

template <int LEFT> __device__ __forceinline__ void wait_copies()
{
    asm volatile("cp.async.wait_group %0;" ::"n"(LEFT) : "memory");
}

__device__ __forceinline__ void load_matrices(unsigned r[4], unsigned from)
{
    asm volatile(
        "ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
        : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
        : "r"(from)
        : "memory");
}

__device__ __forceinline__ void multiply_add(int c[4], const unsigned a[4],
                                             unsigned b0, unsigned b1)
{
    asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 "
                 "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0),
                   "r"(b1));
}

__device__ __forceinline__ int place(int row, int chunk)
{
    return row * DEPTH + ((chunk ^ (row >> 1 & 3)) << 4);
}

// Rows 0..15 of a stage are x, the others w.
__device__ __forceinline__ void load_stage(unsigned stage, const signed char *x,
                                           const signed char *w, int m, int k,
                                           int row0, int column0, int at)
{
#pragma unroll 1
    for (int c = threadIdx.x; c < CHUNKS; c += THREADS) {
        int row = c >> 2, chunk = c & 3;
        unsigned to = stage + (FAULT == NO_SWIZZLE ? row * DEPTH + (chunk << 4)
                                                   : place(row, chunk));
        if (row >= ROWS) {
            copy_chunk(to, w + (column0 + row - ROWS) * k + at + chunk * 16,
                       16);
        } else {
            int source = row0 + row, inside = source < m;
            if (FAULT == RAGGED_EDGE)
                inside = 1;
            else if (!inside)
                source = 0;
            copy_chunk(to, x + source * k + at + chunk * 16, inside ? 16 : 0);
        }
    }
}

extern "C" __global__ void __launch_bounds__(128)
    product(int *y, const signed char *x, const signed char *w, int m, int n,
            int k)
{
    __shared__ __align__(128) unsigned char tiles[STAGES * STAGE_BYTES];
    const unsigned base = shared_address(tiles);
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    const int row0 = blockIdx.y * ROWS, column0 = blockIdx.x * COLUMNS;
    const int steps = k / DEPTH;
    int sum[2][4] = {};

    for (int s = 0; s < STAGES - 1; s++) {
        if (s < steps)
            load_stage(base + s * STAGE_BYTES, x, w, m, k, row0, column0,
                       s * DEPTH);
        commit_copies();
    }
    int stage = 0;
#pragma unroll 1
    for (int step = 0; step < steps; step++) {
        if (FAULT == BARRIER_FIRST)
            __syncthreads();
        if (FAULT == LAX_WAIT)
            wait_copies<STAGES - 1>();
        else
            wait_copies<STAGES - 2>();
        if (FAULT != BARRIER_FIRST && FAULT != NO_BARRIER)
            __syncthreads();
        int next = stage + (FAULT == WRONG_STAGE ? 0 : STAGES - 1);
        if (next >= STAGES)
            next -= STAGES;
        if (step + STAGES - 1 < steps)
            load_stage(base + next * STAGE_BYTES, x, w, m, k, row0, column0,
                       (step + STAGES - 1) * DEPTH);
        commit_copies();
        const unsigned at = base + stage * STAGE_BYTES;
        for (int half = 0; half < 2; half++) {
            unsigned a[4], b[4];
            load_matrices(a, at + place(lane & 15, half * 2 + (lane >> 4)));
            int row = ROWS + warp * 16 + (lane & 7) + (lane >> 4) * 8;
            load_matrices(b, at + place(row, half * 2 + (lane >> 3 & 1)));
            multiply_add(sum[0], a, b[0], b[1]);
            multiply_add(sum[1], a, b[2], b[3]);
        }
        if (++stage == STAGES)
            stage = 0;
    }
    wait_copies<0>();
    for (int t = 0; t < 2; t++)
        for (int i = 0; i < 4; i++) {
            int row = row0 + (lane >> 2) + (i >> 1) * 8;
            int column = column0 + warp * 16 + t * 8 + (lane & 3) * 2 + (i & 1);
            if (row < m)
                y[row * n + column] = sum[t][i];
        }
}
