/* special.h -- special registers that stand still while a block runs. Each
** one that a function uses has a slot of its own, filled when a frame is made.
** Registers that move (%clock ...) are operations instead: special.c. */
#ifndef TSR_EMULATOR_SPECIAL_H
#define TSR_EMULATOR_SPECIAL_H

/* symbol, name */
#define EMU_SPECIAL_LIST(X)                    \
    X(TID_X, "%tid.x")                         \
    X(TID_Y, "%tid.y")                         \
    X(TID_Z, "%tid.z")                         \
    X(NTID_X, "%ntid.x")                       \
    X(NTID_Y, "%ntid.y")                       \
    X(NTID_Z, "%ntid.z")                       \
    X(CTAID_X, "%ctaid.x")                     \
    X(CTAID_Y, "%ctaid.y")                     \
    X(CTAID_Z, "%ctaid.z")                     \
    X(NCTAID_X, "%nctaid.x")                   \
    X(NCTAID_Y, "%nctaid.y")                   \
    X(NCTAID_Z, "%nctaid.z")                   \
    X(LANEID, "%laneid")                       \
    X(WARPID, "%warpid")                       \
    X(NWARPID, "%nwarpid")                     \
    X(SMID, "%smid")                           \
    X(NSMID, "%nsmid")                         \
    X(GRIDID, "%gridid")                       \
    X(LANEMASK_EQ, "%lanemask_eq")             \
    X(LANEMASK_LE, "%lanemask_le")             \
    X(LANEMASK_LT, "%lanemask_lt")             \
    X(LANEMASK_GE, "%lanemask_ge")             \
    X(LANEMASK_GT, "%lanemask_gt")             \
    X(DYNAMIC_SMEM_SIZE, "%dynamic_smem_size") \
    X(TOTAL_SMEM_SIZE, "%total_smem_size")     \
    X(LOCAL, "(address of a local variable)")

enum emu_special {
#define X(symbol, name) EMU_SPECIAL_##symbol,
    EMU_SPECIAL_LIST(X)
#undef X
        EMU_SPECIALS
};

#endif
