/* gpus.h -- the GPU that emulator:sm_XX stands for, one per architecture.
**
** The runtime has no Lua, so these lines repeat gen/lua/devices.lua, which the
** tuner reads; tests/unit/test_gpus.c holds the two against each other.
** Shared memory is in KiB: per SM, and the largest a block may opt in to.
*/
#ifndef TSR_DEVICE_GPUS_H
#define TSR_DEVICE_GPUS_H

/*    arch       name             cc      SMs  sm  block  L2 MiB  GiB  MHz  */
#define TSR_EMULATED_GPU_LIST(X)                                           \
    X("sm_80", "NVIDIA A100-SXM4-80GB", 8, 0, 108, 164, 163, 40, 80, 1410) \
    X("sm_86", "NVIDIA A10", 8, 6, 72, 100, 99, 6, 24, 1695)               \
    X("sm_89", "NVIDIA L40S", 8, 9, 142, 100, 99, 96, 48, 2520)            \
    X("sm_90a", "NVIDIA H200", 9, 0, 132, 228, 227, 50, 141, 1830)         \
    X("sm_100a", "NVIDIA B200", 10, 0, 148, 228, 227, 126, 180, 1850)      \
    X("sm_120a", "NVIDIA GeForce RTX 5090", 12, 0, 170, 100, 99, 96, 32, 2407)

#endif
