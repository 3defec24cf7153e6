/* Gravity among n bodies, in OpenCL C through clang's NVPTX. */
static int get_global_id_x(void)
{
    return __nvvm_read_ptx_sreg_ctaid_x() * __nvvm_read_ptx_sreg_ntid_x() +
           __nvvm_read_ptx_sreg_tid_x();
}

kernel void bodies(global float4 *force, global const float4 *body, int n,
                   float softening)
{
    int i = get_global_id_x();
    float4 me = body[i], sum = (float4)(0.0f);
    for (int j = 0; j < n; j++) {
        float4 d = body[j] - me;
        float r2 = d.x * d.x + d.y * d.y + d.z * d.z + softening;
        float inverse = 1.0f / __nvvm_sqrt_rn_f(r2);
        float s = body[j].w * inverse * inverse * inverse;
        sum.xyz += s * d.xyz;
    }
    force[i] = sum;
}
