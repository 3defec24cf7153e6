/* test_foreign.c -- PTX that others wrote runs right and is not accused.
**
** tests/emulator/foreign holds programs from nvcc (several architectures and
** options, -G among them), from clang, and by hand in two manners; each .ptx
** stands beside its source. They go through `tessera emulate`, checks on; what
** they must print is computed here in plain C.
*/
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/half.h"
#include "tests/emulator/emulate.h"

enum { MOST = 4096 };

/* Inputs of a program; every value is exact in its type. */
struct data {
    double a[MOST], b[MOST];
};

struct program {
    const char *name;    /* of the .ptx */
    const char *options; /* $TMP/a and $TMP/b are the inputs */
    char a_type;         /* i s32, s s16, c u8, f f32, d f64, h f16 */
    size_t a_count, b_count;
    int range; /* values lie in -range .. range; floats are eighths of them */
    void (*expect)(const struct data *in, double *first, double *second);
    size_t first_count, second_count;
    double tolerance; /* relative, absolute below 1 */
};

static char folder[256];

/* ---- what each program computes -------------------------------------------*/

static void reduce(const struct data *in, double *first, double *second)
{
    (void)second;
    for (int i = 0; i < 3000; i++)
        first[0] += in->a[i];
}

static void scan(const struct data *in, double *first, double *second)
{
    double sum = 0;
    (void)second;
    for (int i = 0; i < 200; i++)
        first[i] = sum += in->a[i];
}

static void transpose(const struct data *in, double *first, double *second)
{
    (void)second;
    for (int row = 0; row < 45; row++)
        for (int column = 0; column < 70; column++)
            first[column * 45 + row] = in->a[row * 70 + column];
}

static void histogram(const struct data *in, double *first, double *second)
{
    (void)second;
    for (int i = 0; i < 4000; i++)
        first[(int)in->a[i]]++;
}

static void matmul(const struct data *in, double *first, double *second)
{
    (void)second;
    for (int y = 0; y < 37; y++)
        for (int x = 0; x < 37; x++)
            for (int k = 0; k < 37; k++)
                first[y * 37 + x] += in->a[y * 37 + k] * in->b[k * 37 + x];
}

static void softmax(const struct data *in, double *first, double *second)
{
    (void)second;
    for (int row = 0; row < 5; row++) {
        double sum = 0;
        for (int i = 0; i < 150; i++)
            sum += exp(in->a[row * 150 + i]);
        for (int i = 0; i < 150; i++)
            first[row * 150 + i] = exp(in->a[row * 150 + i]) / sum;
    }
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void bitonic(const struct data *in, double *first, double *second)
{
    (void)second;
    memcpy(first, in->a, 512 * sizeof *first);
    qsort(first, 512, sizeof *first, ascending);
}

static uint32_t power(uint32_t base, int exponent)
{
    uint32_t result = 1;
    while (exponent-- > 0)
        result *= base;
    return result;
}

/* Wraps like the kernel: unsigned arithmetic, signed shifts and compares. */
static void interpreter(const struct data *in, double *first, double *second)
{
    (void)second;
    for (int thread = 0; thread < 96; thread++) {
        uint32_t x = (uint32_t)thread, y = 1;
        for (int i = 0; i < 20; i++) {
            int op = (int)in->a[(i + thread) % 20] & 7;
            if (op == 6 && (x & 1))
                continue;
            switch (op) {
            case 0:
                x += 3;
                break;
            case 1:
                x = x * 5 - y;
                break;
            case 2:
                y ^= x;
                break;
            case 3:
                x = power(x & 3, (int)(y & 7));
                break;
            case 4:
                x &= 1023;
                x = x / 10 + 31 * (x % 10);
                y++; /* falls into case 5 */
                break;
            case 5:
                y++;
                break;
            case 6:
                x = (uint32_t)((int32_t)x >> 1);
                break;
            default:
                x = 0 - x;
            }
            y += (uint32_t)i;
        }
        first[thread] = (int32_t)(x + 7 * y);
    }
}

static void dot64(const struct data *in, double *first, double *second)
{
    (void)second;
    for (int i = 0; i < 777; i++)
        first[0] += in->a[i] * in->b[i];
    first[1] = sqrt(fabs(first[0])) / 3;
}

static void compact(const struct data *in, double *first, double *second)
{
    int n = 0;
    for (int i = 0; i < 128; i++)
        if (in->a[i] > 0)
            first[n++] = in->a[i];
    second[0] = n;
}

static void axpy4(const struct data *in, double *first, double *second)
{
    (void)second;
    for (int i = 0; i < 400; i++)
        first[i] = in->a[i] - 2.5 * in->b[i];
}

static void convolve(const struct data *in, double *first, double *second)
{
    static const double taps[7] = {1, -2, 3, 4, 3, -2, 1};
    for (int i = 0; i < 300; i++)
        for (int k = 0; k < 7; k++)
            if (i + k >= 3 && i + k < 303)
                first[i] += taps[k] * in->a[i + k - 3];
    second[0] = 42;
}

static void insertion(const struct data *in, double *first, double *second)
{
    (void)second;
    for (int i = 0; i < 80; i++) {
        double values[12];
        memcpy(values, in->a + 12 * i, sizeof values);
        qsort(values, 12, sizeof *values, ascending);
        first[i] = trunc((values[5] + values[6]) / 2);
    }
}

static void mandelbrot(const struct data *in, double *first, double *second)
{
    (void)in, (void)second;
    for (int y = 0; y < 30; y++)
        for (int x = 0; x < 50; x++) {
            /* The kernel's float operations, one by one. */
            float cr = -2.0f + 3.0f * (float)x / 50.0f;
            float ci = -1.0f + 2.0f * (float)y / 30.0f, zr = cr, zi = ci;
            int n = 0;
            while (n < 60 && zr * zr + zi * zi < 4.0f) {
                float re = zr * zr - zi * zi + cr;
                zi = 2 * zr * zi + ci;
                zr = re;
                n++;
            }
            first[y * 50 + x] = n;
        }
}

static void hash(const struct data *in, double *first, double *second)
{
    (void)second;
    for (int i = 0; i < 64; i++) {
        uint64_t h = UINT64_C(88172645463325252) ^ (uint32_t)in->a[i];
        for (int round = 0; round < 5; round++) {
            h *= UINT64_C(0x9e3779b97f4a7c15);
            h ^= h >> 29;
            h = h << 17 | h >> 47;
            h += (uint64_t)(((unsigned __int128)h *
                             UINT64_C(0xd6e8feb86659fd93)) >>
                            64);
            h ^= h / ((h & 0xffff) + 3);
            h -= (uint64_t)((int64_t)h % 1000003);
            uint64_t reversed = 0;
            for (int bit = 0; bit < 8; bit++)
                reversed |= (h >> bit & 1) << (63 - bit);
            h += (uint64_t)__builtin_popcountll(h) +
                 ((uint64_t)(h ? __builtin_clzll(h) : 64) << 8) + reversed;
        }
        first[2 * i] = (uint32_t)h;
        first[2 * i + 1] = (uint32_t)(h >> 32);
    }
}

/* Eighths stay exact in f16 here until the last rounding. */
static void halves(const struct data *in, double *first, double *second)
{
    (void)second;
    for (int i = 0; i < 256; i++) {
        float x = (float)in->a[i], y = (float)in->b[i];
        float z = tsr__half_to_float(tsr__float_to_half(x * y + 0.5f));
        float square = tsr__half_to_float(tsr__float_to_half(x * x));
        z = tsr__half_to_float(tsr__float_to_half(z + square));
        first[i] = z;
    }
    for (int i = 0; i < 256; i += 2) {
        if (first[i] > 4)
            for (int h = i; h < i + 2; h++)
                first[h] = tsr__half_to_float(
                    tsr__float_to_half((float)first[h] - (float)in->b[h]));
        if (first[i + 1] < -3)
            first[i + 1] = -3;
    }
}

static void bodies(const struct data *in, double *first, double *second)
{
    (void)second;
    for (int i = 0; i < 64; i++)
        for (int j = 0; j < 64; j++) {
            const double *me = in->a + 4 * i, *other = in->a + 4 * j;
            double d[3], r2 = 0.25;
            for (int k = 0; k < 3; k++) {
                d[k] = other[k] - me[k];
                r2 += d[k] * d[k];
            }
            for (int k = 0; k < 3; k++)
                first[4 * i + k] += other[3] * d[k] / (r2 * sqrt(r2));
        }
}

static void veteran(const struct data *in, double *first, double *second)
{
    static const double weights[4] = {3, -1, 4, 1};
    (void)second;
    for (int i = 0; i < 150; i++)
        for (int k = 0; k < 4 && k <= i % 64; k++)
            first[i] += in->a[i - k] * weights[k];
}

static void tile(const struct data *in, double *first, double *second)
{
    (void)second;
    for (int i = 0; i < 1000; i++)
        first[i] = tsr__half_to_float(
            tsr__float_to_half((float)(in->a[i] + 1.5 * in->b[i])));
}

static const struct program programs[] = {
    {"reduce",
     "--grid 5 --block 128 --arg inout:s32:0 --arg in:@$TMP/a --arg s32:3000",
     'i', 3000, 0, 100000, reduce, 1, 0, 0},
    {"scan",
     "--grid 1 --block 256 --shared 2048 --arg out:f32:200 --arg in:@$TMP/a "
     "--arg s32:200",
     'f', 200, 0, 100, scan, 200, 0, 0},
    {"transpose",
     "--grid 3,2 --block 32,8 --arg out:f32:3150 --arg in:@$TMP/a --arg s32:45 "
     "--arg s32:70",
     'f', 3150, 0, 1000, transpose, 3150, 0, 0},
    {"histogram",
     "--grid 3 --block 256 --arg out:u32:256 --arg in:@$TMP/a --arg s32:4000",
     'c', 4000, 0, 255, histogram, 256, 0, 0},
    {"matmul",
     "--grid 3,3 --block 16,16 --arg out:f32:1369 --arg in:@$TMP/a "
     "--arg in:@$TMP/b --arg s32:37",
     'f', 1369, 1369, 60, matmul, 1369, 0, 0},
    {"softmax",
     "--grid 5 --block 128 --arg out:f32:750 --arg in:@$TMP/a --arg s32:150",
     'f', 750, 0, 50, softmax, 750, 0, 1e-5},
    {"bitonic", "--grid 1 --block 512 --arg inout:s32:@$TMP/a", 'i', 512, 0,
     2000000, bitonic, 512, 0, 0},
    {"interpreter",
     "--grid 1 --block 96 --arg out:s32:96 --arg in:@$TMP/a --arg s32:20", 'i',
     20, 0, 1000, interpreter, 96, 0, 0},
    {"dot64",
     "--grid 1 --block 256 --arg out:f64:2 --arg in:@$TMP/a --arg in:@$TMP/b "
     "--arg u32:777",
     'd', 777, 777, 30000, dot64, 2, 0, 1e-12},
    {"compact",
     "--grid 1 --block 128 --arg out:s32:128 --arg out:s32:1 --arg in:@$TMP/a",
     'i', 128, 0, 1000, compact, 128, 1, 0},
    {"axpy4",
     "--grid 2 --block 64 --arg inout:f32:@$TMP/a --arg in:@$TMP/b "
     "--arg f32:-2.5 --arg s64:100",
     'f', 400, 400, 1000, axpy4, 400, 0, 0},
    {"convolve",
     "--grid 5 --block 64 --arg out:f32:300 --arg out:s32:1 --arg in:@$TMP/a "
     "--arg s32:300",
     'f', 300, 0, 1000, convolve, 300, 1, 0},
    {"insertion", "--grid 2 --block 40 --arg out:s16:80 --arg in:@$TMP/a", 's',
     960, 0, 10000, insertion, 80, 0, 0},
    {"mandelbrot",
     "--grid 4,4 --block 16,8 --arg out:u8:1500 --arg s32:50 --arg s32:30 "
     "--arg s32:60",
     'i', 0, 0, 1, mandelbrot, 1500, 0, 0},
    {"hash",
     "--grid 1 --block 64 --arg out:u32:128 --arg in:@$TMP/a "
     "--arg u64:88172645463325252",
     'i', 64, 0, 2000000000, hash, 128, 0, 0},
    {"halves",
     "--grid 2 --block 64 --arg out:f16:256 --arg in:@$TMP/a --arg in:@$TMP/b "
     "--arg s32:256",
     'h', 256, 256, 40, halves, 256, 0, 0},
    {"bodies",
     "--grid 2 --block 32 --arg out:f32:256 --arg in:@$TMP/a --arg s32:64 "
     "--arg f32:0.25",
     'f', 256, 0, 40, bodies, 256, 0, 1e-4},
    {"veteran",
     "--kernel window --grid 3 --block 64 --shared 256 --arg out:s32:150 "
     "--arg in:@$TMP/a --arg s32:150",
     'i', 150, 0, 100000, veteran, 150, 0, 0},
    {"tile",
     "--grid 2 --block 128 --arg in:@$TMP/a --arg in:@$TMP/b "
     "--arg out:f16:1000 --arg s32:1000 --arg f32:1.5",
     'f', 1000, 1000, 200, tile, 1000, 0, 0},
};

/* ---- running them ---------------------------------------------------------*/

static void write_input(const char *name, char type, const double *values,
                        size_t count)
{
    static unsigned char bytes[MOST * 8];
    size_t unit = 4;
    for (size_t i = 0; i < count; i++) {
        float single = (float)values[i];
        int32_t whole = (int32_t)values[i];
        uint16_t half = tsr__float_to_half(single);
        const void *from = &whole; /* little-endian: low bytes first */
        if (type == 'f')
            from = &single;
        else if (type == 'd')
            from = &values[i], unit = 8;
        else if (type == 'h')
            from = &half, unit = 2;
        else if (type == 's')
            unit = 2;
        else if (type == 'c')
            unit = 1;
        memcpy(bytes + i * unit, from, unit);
    }
    emulate_file(folder, name, bytes, count * unit);
}

static void make_input(double *values, size_t count, const struct program *p,
                       uint64_t seed)
{
    int is_float = strchr("fdh", p->a_type) != NULL;
    for (size_t i = 0; i < count; i++) {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
        int64_t value = (int64_t)(seed >> 33) % (2 * (int64_t)p->range + 1);
        if (p->a_type == 'c')
            value %= 256;
        else
            value -= p->range;
        values[i] = is_float ? (double)value / 8 : (double)value;
    }
}

static size_t compare(const struct program *p, const json_t *output,
                      const double *wanted, size_t count)
{
    size_t wrong = json_array_size(output) < count;
    for (size_t i = 0; i < count; i++) {
        double got = json_number_value(json_array_get(output, i));
        double scale = fabs(wanted[i]) > 1 ? fabs(wanted[i]) : 1;
        if (!(fabs(got - wanted[i]) <= p->tolerance * scale) && wrong++ < 3)
            print_error("%s[%zu] is %.9g, wanted %.9g\n", p->name, i, got,
                        wanted[i]);
    }
    return wrong;
}

/* Runs one program with further options; the number of things wrong. */
static size_t run_program(const struct program *p, const char *more)
{
    static struct data in;
    static double first[MOST], second[MOST];
    char line[1024];
    memset(first, 0, sizeof first);
    memset(second, 0, sizeof second);
    make_input(in.a, p->a_count, p, 1);
    make_input(in.b, p->b_count, p, 2);
    write_input("a", p->a_type, in.a, p->a_count);
    write_input("b", p->a_type, in.b, p->b_count);
    p->expect(&in, first, second);
    snprintf(line, sizeof line,
             "emulate tests/emulator/foreign/%s.ptx --json %s %s", p->name,
             p->options, more);
    struct emulate_result run;
    emulate_line(&run, line, folder);
    const json_t *outputs = json_object_get(run.json, "outputs");
    size_t wrong = run.status != 0;
    if (wrong)
        print_error("%s %s: exit status %d: %.2000s%s\n", p->name, more,
                    run.status, run.json ? "" : run.out, run.err);
    if (wrong && run.json) {
        char *text =
            json_dumps(json_object_get(run.json, "findings"), JSON_INDENT(1));
        print_error("%.3000s\n", text);
        free(text);
    }
    wrong += compare(p, json_array_get(outputs, 0), first, p->first_count);
    if (p->second_count)
        wrong +=
            compare(p, json_array_get(outputs, 1), second, p->second_count);
    emulate_release(&run);
    return wrong;
}

static size_t run_all(const char *more)
{
    size_t wrong = 0;
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++)
        wrong += run_program(&programs[i], more);
    return wrong;
}

static int make_folder(void **state)
{
    (void)state;
    return emulate_folder(folder, sizeof folder, "foreign");
}

static void foreign_programs_run_right_with_no_finding(void **state)
{
    (void)state;
    assert_int_equal(run_all("--threads 1"), 0);
}

static void foreign_programs_run_right_without_checks(void **state)
{
    (void)state;
    assert_int_equal(run_all("--no-checks"), 0);
}

static void foreign_programs_run_right_under_other_schedules(void **state)
{
    (void)state;
    assert_int_equal(run_all("--seed 3 --schedules 3 --threads 2"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(foreign_programs_run_right_with_no_finding),
        cmocka_unit_test(foreign_programs_run_right_without_checks),
        cmocka_unit_test(foreign_programs_run_right_under_other_schedules),
    };
    return cmocka_run_group_tests(tests, make_folder, NULL);
}
