// attention.cu -- attention of one query over a row of tokens, and two ways to
// get it wrong.
//
//     o = sum of softmax(q . k[t]) v[t] over t < tokens
//
// Grid: heads. 4 warps; the halves of a warp take alternate tokens, lane % 16
// is the dimension. Each half keeps a running maximum and sum (online softmax);
// halves meet through shuffles, warps through shared memory.
//
// -DFAULT=... plants one bug (NONE, NO_BARRIER, DIVERGENT_SHUFFLE).
enum { NONE, NO_BARRIER, DIVERGENT_SHUFFLE };

enum { DIMENSIONS = 16, WARPS = 4, EVERYONE = -1 };

extern "C" __global__ void __launch_bounds__(128)
    attend(float *o, const float *q, const float *k, const float *v, int tokens)
{
    __shared__ float outputs[WARPS][DIMENSIONS];
    __shared__ float maxima[WARPS], sums[WARPS];
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    const int d = lane & 15, half = lane >> 4;
    const int head = blockIdx.x;
    k += head * tokens * DIMENSIONS;
    v += head * tokens * DIMENSIONS;
    const float query = q[head * DIMENSIONS + d];

    float maximum = -1e30f, sum = 0, output = 0;
#pragma unroll 1
    for (int t0 = 2 * warp; t0 < tokens; t0 += 2 * WARPS) {
        const int t = t0 + half;
        const bool inside = t < tokens;
        float score = inside ? query * k[t * DIMENSIONS + d] : 0;
        if (FAULT == DIVERGENT_SHUFFLE) {
            if (inside)
                for (int step = 8; step; step >>= 1)
                    score += __shfl_xor_sync(EVERYONE, score, step);
        } else {
            for (int step = 8; step; step >>= 1)
                score += __shfl_xor_sync(EVERYONE, score, step);
        }
        if (!inside)
            score = -1e30f;
        const float higher = fmaxf(maximum, score);
        const float shrink = expf(maximum - higher);
        const float weight = inside ? expf(score - higher) : 0;
        maximum = higher;
        sum = sum * shrink + weight;
        output = output * shrink +
                 weight * (inside ? v[t * DIMENSIONS + d] : 0);
    }
    // The two halves become one.
    const float other = __shfl_xor_sync(EVERYONE, maximum, 16);
    const float higher = fmaxf(maximum, other);
    const float shrink = expf(maximum - higher);
    sum *= shrink;
    output *= shrink;
    sum += __shfl_xor_sync(EVERYONE, sum, 16);
    output += __shfl_xor_sync(EVERYONE, output, 16);
    if (half == 0) {
        outputs[warp][d] = output;
        if (d == 0) {
            maxima[warp] = higher;
            sums[warp] = sum;
        }
    }
    if (FAULT != NO_BARRIER)
        __syncthreads();
    if (threadIdx.x < DIMENSIONS) {
        float top = -1e30f, total = 0, result = 0;
        for (int i = 0; i < WARPS; i++)
            top = fmaxf(top, maxima[i]);
        for (int i = 0; i < WARPS; i++) {
            const float scale = expf(maxima[i] - top);
            total += sums[i] * scale;
            result += outputs[i][d] * scale;
        }
        o[head * DIMENSIONS + d] = result / total;
    }
}
