// types.cuh -- the integer names of every kernel, and compile-time arithmetic.
//
// Emitted source includes no header: NVRTC then compiles a kernel in tens of
// milliseconds. f16 is storage only; arithmetic is done in float.

typedef unsigned char u8;
typedef signed char s8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef int s32;
typedef unsigned long long u64;
typedef long long s64;
typedef unsigned short f16;

// upto<4>() carries 0, 1, 2, 3 as template arguments: a loop whose index must be
// a constant, such as the address immediate of a PTX instruction, is a fold over
// them. (A template that calls itself would be inlined level by level, and the
// compile time grow with the square.)
template <int... I> struct indices {
};

template <int COUNT, int... I> struct indices_upto {
    using type = typename indices_upto<COUNT - 1, COUNT - 1, I...>::type;
};

template <int... I> struct indices_upto<0, I...> {
    using type = indices<I...>;
};

template <int COUNT> using upto = typename indices_upto<COUNT>::type;

__host__ __device__ constexpr int max_of(int a, int b)
{
    return a > b ? a : b;
}

__host__ __device__ constexpr int min_of(int a, int b)
{
    return a < b ? a : b;
}

__host__ __device__ constexpr int ceil_div(int a, int b)
{
    return (a + b - 1) / b;
}

__host__ __device__ constexpr int round_up(int a, int b)
{
    return ceil_div(a, b) * b;
}
