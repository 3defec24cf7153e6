/* matmul.c -- fp32 products, blocked and threaded.
**
** A thread widens BLOCK rows of w once and multiplies them with every row of
** x: a row of x is loaded once per block. Four running sums per product fill
** a vector register without reordering by the compiler, so the result is the
** same whatever the instruction set.
*/
#include "gen/quantize/matmul.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/memory.h"

enum { BLOCK = 4, LANES = 4, THREADS_MAX = 16 };

typedef float lanes __attribute__((vector_size(LANES * sizeof(float))));

static inline lanes load(const float *from)
{
    lanes value;
    memcpy(&value, from, sizeof value);
    return value;
}

static inline float total(lanes sums)
{
    return (sums[0] + sums[2]) + (sums[1] + sums[3]);
}

float gen_dot(const float *a, const float *b, size_t count)
{
    lanes sums = {0};
    size_t k = 0;
    for (; k + LANES <= count; k += LANES)
        sums += load(a + k) * load(b + k);
    float rest = 0;
    for (; k < count; k++)
        rest += a[k] * b[k];
    return total(sums) + rest;
}

/* BLOCK products at once; each adds as gen_dot does. */
static void dots(const float *x, const float *w, size_t count, float out[BLOCK])
{
    const float *w0 = w, *w1 = w + count, *w2 = w1 + count, *w3 = w2 + count;
    lanes s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0};
    float r0 = 0, r1 = 0, r2 = 0, r3 = 0;
    size_t k = 0;
    for (; k + LANES <= count; k += LANES) {
        lanes from = load(x + k);
        s0 += from * load(w0 + k);
        s1 += from * load(w1 + k);
        s2 += from * load(w2 + k);
        s3 += from * load(w3 + k);
    }
    for (; k < count; k++) {
        r0 += x[k] * w0[k];
        r1 += x[k] * w1[k];
        r2 += x[k] * w2[k];
        r3 += x[k] * w3[k];
    }
    out[0] = total(s0) + r0;
    out[1] = total(s1) + r1;
    out[2] = total(s2) + r2;
    out[3] = total(s3) + r3;
}

struct work {
    const struct tsr_tensor *w, *bias;
    const float *x;
    float *y;
    size_t n, k, count, stride;
    atomic_size_t next; /* block of rows of w */
    atomic_int failed;
};

static void multiply_block(const struct work *work, size_t first, float *rows)
{
    size_t left = work->n - first, k = work->k;
    size_t height = left < BLOCK ? left : BLOCK;
    float bias[BLOCK] = {0};
    tsr__tensor_floats(work->w, first * k, height * k, rows);
    if (work->bias)
        tsr__tensor_floats(work->bias, first, height, bias);
    for (size_t t = 0; t < work->count; t++) {
        float *to = work->y + t * work->stride + first, products[BLOCK];
        dots(work->x + t * k, rows, k, products);
        for (size_t i = 0; i < height; i++)
            to[i] = work->bias ? products[i] + bias[i] : products[i];
    }
}

static void *worker(void *argument)
{
    struct work *work = argument;
    /* Zeroed: rows beyond the last are multiplied and not stored. */
    float *rows = tsr__calloc(BLOCK * work->k, sizeof *rows);
    if (!rows)
        atomic_store(&work->failed, 1);
    while (rows && !atomic_load(&work->failed)) {
        size_t first = atomic_fetch_add(&work->next, 1) * BLOCK;
        if (first >= work->n)
            break;
        multiply_block(work, first, rows);
    }
    tsr__free(rows);
    return NULL;
}

/* Threads that pay for their start: one per 8 million products. */
static int helpers_for(const struct work *work)
{
    double products = (double)work->n * (double)work->k * (double)work->count;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    int wanted =
        products < 8e6 * THREADS_MAX ? (int)(products / 8e6) : THREADS_MAX;
    return wanted < cores ? wanted : (int)cores;
}

int gen_matmul(const struct tsr_tensor *w, const struct tsr_tensor *bias,
               const float *x, size_t count, float *y, size_t stride,
               struct tsr_error *err)
{
    struct work work = {.w = w,
                        .bias = bias,
                        .x = x,
                        .y = y,
                        .n = w->shape[0],
                        .k = w->shape[1],
                        .count = count,
                        .stride = stride};
    pthread_t helpers[THREADS_MAX];
    int started = 0, wanted = helpers_for(&work) - 1;
    while (started < wanted &&
           pthread_create(&helpers[started], NULL, worker, &work) == 0)
        started++;
    worker(&work);
    for (int i = 0; i < started; i++)
        pthread_join(helpers[i], NULL);
    if (atomic_load(&work.failed))
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory multiplying '%s'",
                        w->name);
    return 0;
}
