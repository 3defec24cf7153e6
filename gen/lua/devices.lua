-- devices.lua -- the GPUs we know, one line each.
--
-- A line gives what is published about the GPU; `int8` and `fp16` are dense
-- tensor rates in TOPS and TFLOPS as the data sheet states them. `mma` is the
-- share of the int8 rate that mma.sync reaches (the rest needs wgmma or
-- tcgen05): 0.62 on Hopper is measured (arXiv 2402.13499), 0.25 on B200 and
-- B300 are estimates. `l2_clk` is bytes the L2 hands out per clock: 5120 on
-- A100 (its white paper), 6150 on Hopper (DeepGEMM's model), the rest
-- estimated at 32 per SM.
--
-- To add a GPU, add a line. The first one of an architecture is the one that
-- `emulator:ARCH` stands for.

local columns = {
    "arch", "sm_count", "shared_kib_sm", "shared_kib_block", "threads_per_sm",
    "blocks_per_sm", "l2_mib", "l2_clk", "memory_gib", "bandwidth", "clock_mhz",
    "int8_tops", "mma", "fp16_tflops",
}

local rows = {
-- name               arch     SMs shared KiB  thr. blk    L2  L2    memory GB/s  MHz   int8  mma   fp16
--                                  SM  block  /SM  /SM   MiB  B/clk GiB               TOPS        TFLOPS
{ "NVIDIA A100-SXM4-80GB",
                     "sm_80",  108, 164, 163, 2048, 32,  40, 5120,  80, 2039, 1410,  624, 1.00,  312 },
{ "NVIDIA A10",      "sm_86",   72, 100,  99, 1536, 16,   6, 2304,  24,  600, 1695,  250, 1.00,  125 },
{ "NVIDIA GeForce RTX 3090",
                     "sm_86",   82, 100,  99, 1536, 16,   6, 2624,  24,  936, 1695,  284, 1.00,  142 },
{ "NVIDIA L40S",     "sm_89",  142, 100,  99, 1536, 24,  96, 4544,  48,  864, 2520,  733, 1.00,  362 },
{ "NVIDIA L40",      "sm_89",  142, 100,  99, 1536, 24,  96, 4544,  48,  864, 2490,  362, 1.00,  181 },
{ "NVIDIA GeForce RTX 4090",
                     "sm_89",  128, 100,  99, 1536, 24,  72, 4096,  24, 1008, 2520,  661, 1.00,  330 },
{ "NVIDIA H200",     "sm_90a", 132, 228, 227, 2048, 32,  50, 6150, 141, 4800, 1830, 1979, 0.62,  989 },
{ "NVIDIA H100 80GB HBM3",
                     "sm_90a", 132, 228, 227, 2048, 32,  50, 6150,  80, 3350, 1830, 1979, 0.62,  989 },
{ "NVIDIA H20",      "sm_90a",  78, 228, 227, 2048, 32,  60, 4992,  96, 4000, 1830,  296, 0.62,  148 },
{ "NVIDIA B200",     "sm_100a",148, 228, 227, 2048, 32, 126, 4736, 180, 7700, 1850, 4500, 0.25, 2250 },
{ "NVIDIA B300",     "sm_103a",148, 228, 227, 2048, 32, 126, 4736, 288, 8000, 1850,  150, 1.00, 2250 },
{ "NVIDIA Thor",     "sm_110a", 20, 228, 227, 1536, 24,  32,  640, 128,  273, 1575,  500, 0.25,  250 },
{ "NVIDIA GeForce RTX 5090",
                     "sm_120a",170, 100,  99, 1536, 24,  96, 5440,  32, 1792, 2407,  838, 1.00,  419 },
{ "NVIDIA GB10",     "sm_121a", 48, 100,  99, 1536, 24,  24, 1536, 128,  273, 2500,  250, 1.00,  125 },
}

-- A row as scripts see it. Sizes are bytes, bandwidths GB/s.
local function expand(row)
    local device = { name = row[1] }
    for at, column in ipairs(columns) do
        device[column] = row[at + 1]
    end
    local major, minor = device.arch:match("^sm_(%d+)(%d)a?$")
    device.capability_major = tonumber(major)
    device.capability_minor = tonumber(minor)
    device.shared_per_sm = device.shared_kib_sm * 1024
    device.shared_per_block = device.shared_kib_block * 1024
    device.registers_per_sm = 65536
    device.l2_bytes = device.l2_mib * 1048576
    device.l2_bandwidth = device.l2_clk * device.clock_mhz / 1000
    device.int8_macs_per_clock = device.int8_tops * 1e6 * device.mma
        / (2 * device.sm_count * device.clock_mhz)
    device.issue_per_clock = 4
    device.has = {
        cp_async = true,
        bulk = device.capability_major >= 9,
        wgmma = device.arch == "sm_90a",
    }
    for _, column in ipairs({ "shared_kib_sm", "shared_kib_block", "l2_mib",
                              "l2_clk", "mma" }) do
        device[column] = nil
    end
    return device
end

local M = {}

function M.list()
    local list = {}
    for at, row in ipairs(rows) do
        list[at] = expand(row)
    end
    return list
end

-- The architectures, in the order of the table.
function M.archs()
    local archs, seen = {}, {}
    for _, row in ipairs(rows) do
        if not seen[row[2]] then
            seen[row[2]] = true
            archs[#archs + 1] = row[2]
        end
    end
    return archs
end

-- The GPU that stands for an architecture.
function M.of_arch(arch)
    for _, row in ipairs(rows) do
        if row[2] == arch then
            return expand(row)
        end
    end
    usage("arch=%s: no GPU of this architecture is known; known are %s", arch,
          table.concat(M.archs(), " "))
end

function M.of_name(name)
    local names = {}
    for _, row in ipairs(rows) do
        if row[1] == name then
            return expand(row)
        end
        names[#names + 1] = "'" .. row[1] .. "'"
    end
    usage("no GPU '%s' is known; known are %s", name,
          table.concat(names, ", "))
end

return M
