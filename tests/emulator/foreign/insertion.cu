// Each thread sorts 12 numbers in a local array and takes the median pair.
extern "C" __global__ void insertion(short *out, const short *in)
{
    int values[12];
    int base = (blockIdx.x * blockDim.x + threadIdx.x) * 12;
    for (int i = 0; i < 12; i++) {
        int value = in[base + i], j = i;
        while (j > 0 && values[j - 1] > value) {
            values[j] = values[j - 1];
            j--;
        }
        values[j] = value;
    }
    out[base / 12] = (short)((values[5] + values[6]) / 2);
}
