-- cost.lua -- the cost model: microseconds from work and a device.
--
-- Two sources of `work`: analytic, from a family's work() (ranks candidates
-- before anything is compiled), and measured, from the emulator's counts of
-- one block and the compiler's registers (ranks compiled candidates). Both go
-- through time(), so they are comparable.
--
--     work  blocks          thread blocks of the launch
--           threads         per block
--           shared          bytes per block
--           registers       per thread
--           dram_bytes      the whole launch, each byte once
--           l2_bytes        the whole launch, between L2 and the SMs
--           flight_bytes    a block keeps under way (its pipeline's stages)
--           issue           warp instructions per block, outside the MMA
--           mma_ops         int8 multiply-adds per block, padding included
--           wavefronts      of shared memory per block, conflicts included
--           serial_us       dependent steps at the end (split-K tail)
--
-- Blocks are dealt out to SMs; the busiest SM has ceil(blocks / SMs) of them
-- and sets the pace of everything inside an SM. DRAM and L2 are shared by
-- all. The times of the resources overlap, mostly.

local M = {}

-- Coefficients. A number without a source is an estimate that measurements on
-- a GPU will replace.
local coefficient = {
    -- Share of the peak that a read stream reaches: 4.3 of 4.8 TB/s on an
    -- H200, and 1.53 of 2.04 on an A800 in a fit over whole kernels.
    dram_share = 0.88,
    l2_share = 0.80,
    -- Time a byte is under way, with the memory busy: H200, Little's law.
    dram_latency_us = 0.70,
    -- Bytes per clock that an SM takes in from L2.
    sm_bytes_per_clock = 64,
    -- Launch, block start, first load and last store: the ramp of a kernel
    -- inside a graph.
    launch_us = 1.2,
    -- Of the time of the resources that are not the slowest, this share is
    -- not hidden behind it.
    overlap_leak = 0.12,
    -- Clocks between two instructions of one warp, on average: a scheduler
    -- with fewer warps than this idles.
    issue_interval = 2.5,
    -- Tensor pipes reach this share of their rate with enough warps.
    mma_share = 0.90,
    -- Clocks of a barrier or wait round trip that nothing hides when one
    -- block is alone on an SM, per pass of its main loop.
    pass_clocks = 60,
    -- What spilled registers cost, per byte of a thread, in clocks a block.
    spill_clocks_per_byte = 8,
    -- Each further wave starts with its pipeline empty.
    wave_us = 0.4,
}

M.coefficient = coefficient
M.default_registers = 128

local function ceil_div(a, b)
    return (a + b - 1) // b
end

-- Blocks that fit on an SM at once, and what limits them.
function M.blocks_per_sm(device, work)
    local registers = work.registers or M.default_registers
    local warps = ceil_div(work.threads, 32)
    -- Registers are dealt out to warps in units of 256, that is 8 a thread.
    local per_warp = ceil_div(registers, 8) * 256
    local best, by = device.blocks_per_sm, "blocks"
    local function limit(count, name)
        if count < best then
            best, by = count, name
        end
    end
    limit(device.threads_per_sm // (warps * 32), "threads")
    limit(device.registers_per_sm // (warps * per_warp), "registers")
    -- The driver keeps 1 KiB of shared memory for itself in each block.
    limit(device.shared_per_sm // ((work.shared or 0) + 1024), "shared")
    return math.max(best, 0), by
end

-- Microseconds of each resource, were it the only one.
local function resource_times(device, work, resident)
    local mhz = device.clock_mhz
    local busiest = ceil_div(work.blocks, device.sm_count)
    local together = math.min(busiest, resident)
    local active = math.min(work.blocks, device.sm_count)
    local warps = together * ceil_div(work.threads, 32)
    local issue_rate = math.min(device.issue_per_clock,
                                warps / coefficient.issue_interval)
    local mma_rate = device.int8_macs_per_clock * coefficient.mma_share
        * math.min(1, warps / 4)
    local l2 = work.l2_bytes or work.dram_bytes
    local flight = (work.flight_bytes or 16384) * together * active
    return {
        dram = work.dram_bytes
            / (device.bandwidth * 1000 * coefficient.dram_share),
        l2 = math.max(l2 / (device.l2_bandwidth * 1000 * coefficient.l2_share),
                      l2 / work.blocks * busiest
                          / (coefficient.sm_bytes_per_clock * mhz)),
        latency = l2 / flight * coefficient.dram_latency_us
            + (work.passes or 0) * busiest / together
                * coefficient.pass_clocks / mhz,
        issue = work.issue * busiest / (issue_rate * mhz),
        mma = work.mma_ops * busiest / (mma_rate * mhz),
        shared = (work.wavefronts or 0) * busiest / mhz,
    }
end

-- What the five words of a report mean.
local bound_of = { dram = "memory", l2 = "memory", latency = "latency",
                   issue = "issue", mma = "mma", shared = "shared" }

-- {microseconds, bound, occupancy, parts} of one launch.
function M.time(device, work)
    local resident, limited_by = M.blocks_per_sm(device, work)
    if resident < 1 then
        return { microseconds = 1e9, bound = "latency", occupancy = 0.0,
                 limited_by = limited_by, parts = {} }
    end
    local parts = resource_times(device, work, resident)
    local slowest, sum = "dram", 0
    for name, time in pairs(parts) do
        sum = sum + time
        if time > parts[slowest] then
            slowest = name
        end
    end
    local waves = ceil_div(work.blocks, resident * device.sm_count)
    local most = parts[slowest]
    local total = coefficient.launch_us + (waves - 1) * coefficient.wave_us
        + most + (sum - most) * coefficient.overlap_leak
        + (work.serial_us or 0)
    local warps = resident * ceil_div(work.threads, 32)
    return {
        microseconds = total,
        bound = bound_of[slowest],
        occupancy = warps * 32 / device.threads_per_sm,
        limited_by = limited_by,
        blocks_per_sm = resident,
        waves = waves,
        parts = parts,
    }
end

-- Warp instructions outside the MMA, from counts.warp_instructions.
local function issue_of(counts)
    local sum = 0
    for class, count in pairs(counts.warp_instructions or {}) do
        if class ~= "mma" then
            sum = sum + count
        end
    end
    return sum
end

-- time() of `work` with what was counted put in place of what was guessed.
-- `counts` are of `counts.blocks` blocks (1 when absent) of the launch's
-- `blocks`.
function M.measured(device, work, counts, blocks, resources)
    local counted = math.max(counts.blocks or 1, 1)
    local measured = {}
    for key, value in pairs(work) do
        measured[key] = value
    end
    local spill = (resources.spill_bytes or 0)
        * coefficient.spill_clocks_per_byte
    measured.blocks = blocks
    measured.issue = issue_of(counts) / counted
        + spill * device.issue_per_clock
    measured.mma_ops = (counts.mma_multiply_adds or 0) / counted
    measured.wavefronts = (counts.shared_wavefronts or 0) / counted
    measured.registers = resources.registers or work.registers
    measured.shared = resources.shared or work.shared
    if counts.global_sectors then
        measured.l2_bytes = counts.global_sectors * 32 / counted * blocks
    end
    return M.time(device, measured)
end

return M
