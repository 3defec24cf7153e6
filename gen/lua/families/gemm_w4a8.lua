-- gemm_w4a8.lua -- 4-bit weights times 8-bit activations: what may be asked
-- for, which configurations are legal, and what they cost.
--
-- The kernels are templates/gemm_w4a8.cu.tmpl (variant mma, whose header draws
-- the split of the work) and gemm_w4a8_naive.cu.tmpl. The arithmetic here that
-- has a counterpart there carries the tag MIRROR; the template asserts that
-- both agree.

local cost = require("cost")

local M = { name = "gemm_w4a8", entry = "gemm_w4a8" }

function M.template(spec)
    return spec.variant == "naive" and "gemm_w4a8_naive.cu.tmpl"
        or "gemm_w4a8.cu.tmpl"
end

M.keys = {
    format = { kind = "choice", allowed = { "w4c", "w4g128", "w4g64" },
               default = "w4g128",
               help = "of the weights: w4c, w4g128 or w4g64" },
    n = { kind = "integer", min = 8, max = 1048576, multiple = 8,
          help = "output channels" },
    k = { kind = "integer", min = 32, max = 66311, multiple = 32,
          help = "input channels" },
    m = { kind = "integer", min = 1, max = 1048576, default = 16,
          runtime = true, help = "tokens" },
    out = { kind = "choice", allowed = { "f16", "bf16" }, default = "f16" },
    bias = { kind = "integer", allowed = { 0, 1 }, default = 0 },
}

M.axes = {
    variant = { kind = "choice", allowed = { "mma", "naive" },
                default = "mma" },
    channel_tile = { kind = "integer", allowed = { 64, 128, 256 } },
    token_tile = { kind = "integer", allowed = { 8, 16, 32, 64, 128, 256 } },
    k_tile = { kind = "integer", allowed = { 64, 128, 256, 512 } },
    stages = { kind = "integer", min = 2, max = 6 },
    warps = { kind = "integer", min = 1, max = 16 },
    split_k = { kind = "integer", min = 1, max = 64 },
    raster = { kind = "integer", allowed = { 0, 1, 2, 4, 8, 16 } },
}

function M.axes_used(spec)
    if spec.variant == "naive" then
        return { "variant" }
    end
    return { "variant", "channel_tile", "token_tile", "k_tile", "stages",
             "warps", "split_k", "raster" }
end

local groups = { w4c = 0, w4g128 = 128, w4g64 = 64 }

function M.check(spec)
    local group = groups[spec.format]
    if group > 0 and spec.k % group ~= 0 then
        return false, string.format(
            "k=%d: must be a multiple of %d (format=%s)", spec.k, group,
            spec.format)
    end
    return true
end

local function ceil_div(a, b)
    return (a + b - 1) // b
end

-- The naive variant has one configuration.
local naive = { tile_n = 64, tile_m = 4 }

-- ---- shapes: what the template derives from the axes (MIRROR) ---------------

local function shape_of(spec)
    local s = { group = groups[spec.format] }
    s.warps_n = spec.channel_tile // 64
    s.warps_m = ceil_div(spec.token_tile, 64)
    s.team = s.warps_n * s.warps_m
    s.warps_k = spec.warps // s.team
    s.octets = spec.token_tile // s.warps_m // 8
    s.stage_groups = s.group > 0 and ceil_div(spec.k_tile, s.group) or 0
    s.stage_bytes = spec.channel_tile * spec.k_tile // 2
        + spec.token_tile * spec.k_tile
        + s.stage_groups * 2 * spec.channel_tile
    local sums = s.warps_k > 1 and spec.channel_tile * spec.token_tile * 4 or 0
    s.shared = s.warps_k * math.max(spec.stages * s.stage_bytes, sums)
        + (spec.split_k > 1 and 16 or 0)
    s.channel_tiles = ceil_div(spec.n, spec.channel_tile)
    s.k_tiles = ceil_div(spec.k, spec.k_tile)
    return s
end

-- Registers of a thread: accumulators, fragments of x, scales, the rest. A
-- little above what ptxas 13.0 takes on sm_80.
local function registers_of(s)
    return 20 * s.octets + (s.group > 0 and 76 or 60)
end

-- ---- legal ------------------------------------------------------------------

local function kib(bytes)
    return string.format("%.1f KB", bytes / 1024)
end

function M.legal(spec, device)
    if spec.variant == "naive" then
        return true
    end
    local s = shape_of(spec)
    if spec.warps % s.team ~= 0 then
        return false, string.format(
            "warps=%d: channel_tile=%d and token_tile=%d take teams of %d "
                .. "warps, so warps is a multiple of that",
            spec.warps, spec.channel_tile, spec.token_tile, s.team)
    end
    if s.warps_k > 15 then
        return false, string.format(
            "warps=%d: at most 15 warps split K in a block (one named barrier "
                .. "each)", spec.warps)
    end
    if s.shared > device.shared_per_block then
        return false, string.format(
            "channel_tile=%d, token_tile=%d, k_tile=%d, stages=%d and warps=%d "
                .. "need %s of shared memory; %s has %s a block: fewer stages "
                .. "or warps, or a smaller tile",
            spec.channel_tile, spec.token_tile, spec.k_tile, spec.stages,
            spec.warps, kib(s.shared), device.arch,
            kib(device.shared_per_block))
    end
    local registers = device.registers_per_sm // (spec.warps * 32) // 8 * 8
    if registers_of(s) > math.min(registers, 255) then
        return false, string.format(
            "token_tile=%d: %d tokens a warp need about %d registers; %d "
                .. "warps leave %d: fewer warps or a smaller token_tile",
            spec.token_tile, s.octets * 8, registers_of(s), spec.warps,
            math.min(registers, 255))
    end
    local unrolled = spec.k_tile // 64 * 8 * s.octets
    if unrolled > 256 then
        return false, string.format(
            "k_tile=%d and token_tile=%d unroll to %d MMA a stage; the limit "
                .. "is 256, for the sake of compile time", spec.k_tile,
            spec.token_tile, unrolled)
    end
    return true
end

-- ---- launch and holes -------------------------------------------------------

function M.launch(spec)
    if spec.variant == "naive" then
        return { entry = M.entry, threads = naive.tile_n * naive.tile_m,
                 shared = 0, tile_n = naive.tile_n, tile_m = naive.tile_m,
                 split_k = 1, raster = 0 }
    end
    return { entry = M.entry, threads = spec.warps * 32,
             shared = shape_of(spec).shared, tile_n = spec.channel_tile,
             tile_m = spec.token_tile, split_k = spec.split_k,
             raster = spec.raster }
end

function M.holes(spec)
    local holes = { n = spec.n, k = spec.k, group = groups[spec.format],
                    out_bf16 = spec.out == "bf16", bias = spec.bias == 1 }
    if spec.variant == "naive" then
        holes.tile_n = naive.tile_n
        holes.tile_m = naive.tile_m
        return holes
    end
    for _, axis in ipairs({ "channel_tile", "token_tile", "k_tile", "stages",
                            "warps", "split_k", "raster" }) do
        holes[axis] = spec[axis]
    end
    holes.shared = shape_of(spec).shared
    return holes
end

-- ---- cost -------------------------------------------------------------------

local function dram_bytes(spec)
    local group = groups[spec.format]
    local weights = ceil_div(spec.n, 64) * ceil_div(spec.k, 64) * 2048
    local scales = group > 0 and spec.k // group * spec.n * 2 + spec.n * 2
        or spec.n * 4
    return weights + scales + spec.m * spec.k + spec.m * spec.n * 2
end

-- Warp instructions outside the MMA, of the whole block; counted in the PTX
-- of the main loop.
local function issue_of(spec, s, steps, passes)
    local dequantise = s.group > 0 and 80 or 48 -- 16 words of 8 codes a lane
    local scales = s.group > 0 and 18 * 64 / math.min(s.group, spec.k_tile) or 0
    local step = s.team * (dequantise + 4 + s.octets + scales)
        + spec.channel_tile // 16 + spec.token_tile // 8
    local epilogue = s.team * s.octets * 2
        * (48 + (s.warps_k > 1 and 12 * s.warps_k or 0)
           + (spec.split_k > 1 and 24 or 0))
    return steps * step + passes * s.team * 27 + spec.warps * 160 + epilogue
end

local function mma_work(spec)
    local s = shape_of(spec)
    local blocks = s.channel_tiles * ceil_div(spec.m, spec.token_tile)
        * spec.split_k
    local passes = math.ceil(s.k_tiles / spec.split_k)
    local steps = passes * (spec.k_tile // 64)
    local copied = spec.channel_tile * 32 + spec.token_tile * 64
    local partials = spec.split_k > 1
        and 8 * spec.m * spec.n * spec.split_k or 0
    return {
        blocks = blocks,
        threads = spec.warps * 32,
        shared = s.shared,
        registers = registers_of(s),
        dram_bytes = dram_bytes(spec),
        l2_bytes = blocks * passes * s.stage_bytes + partials
            + 2 * spec.m * spec.n,
        flight_bytes = s.warps_k * (spec.stages - 1) * s.stage_bytes,
        passes = math.ceil(passes / s.warps_k),
        mma_ops = steps * 64 * spec.channel_tile * spec.token_tile,
        issue = issue_of(spec, s, steps, passes),
        -- 16 wavefronts read the codes of a step, 4 an octet of x, and the
        -- copies write 128 bytes in each.
        wavefronts = steps * (s.team * (16 + 4 * s.octets) + copied // 128),
        -- Publishing, counting and collecting are three trips to L2.
        serial_us = spec.split_k > 1 and 1.5 or 0,
    }
end

local function naive_work(spec)
    local blocks = ceil_div(spec.n, naive.tile_n)
        * ceil_div(spec.m, naive.tile_m)
    local warps = naive.tile_n * naive.tile_m // 32
    return {
        blocks = blocks,
        threads = warps * 32,
        shared = 0,
        registers = 32,
        dram_bytes = dram_bytes(spec),
        l2_bytes = blocks * spec.k * (naive.tile_n // 2 + naive.tile_m),
        flight_bytes = warps * 128,
        mma_ops = 0,
        issue = warps * spec.k * (groups[spec.format] > 0 and 40 or 25),
        wavefronts = 0,
    }
end

function M.work(spec)
    return spec.variant == "naive" and naive_work(spec) or mma_work(spec)
end

-- ---- space ------------------------------------------------------------------

-- Token tiles worth a try: the smallest that holds all tokens, and two below.
local function token_tiles(m)
    local list, full = {}, 8
    while full < m and full < 256 do
        full = full * 2
    end
    for _, tile in ipairs({ full, full // 2, full // 4 }) do
        if tile >= 8 then
            list[#list + 1] = tile
        end
    end
    return list
end

-- A split of K, within the block or over blocks, is worth a try while each
-- part has two stages or more and the blocks fill the device at most a few
-- times over.
local function split_is_sensible(spec, s, device)
    if s.warps_k * spec.split_k == 1 then
        return true
    end
    local tiles = s.channel_tiles * ceil_div(spec.m, spec.token_tile)
    return s.k_tiles >= 2 * spec.split_k * s.warps_k
        and (spec.split_k == 1
             or tiles * spec.split_k <= 4 * device.sm_count)
end

-- More stages than a team has tiles hold nothing.
local function stages_are_sensible(spec, s)
    local tiles = ceil_div(s.k_tiles, s.warps_k * spec.split_k)
    return spec.stages <= math.max(tiles, 2)
end

-- Instructions outside the MMA, per weight, that a kernel for few tokens may
-- take: a group of 64 spreads its scales twice as often.
local lean = { w4c = 1.0, w4g128 = 1.0, w4g64 = 1.15 }

-- With few tokens, what each team does once and what each token tile unpacks
-- anew must not come on top of what the weights need anyway.
local function is_lean(spec)
    local s, work = shape_of(spec), mma_work(spec)
    return spec.m > 16
        or s.warps_k * spec.split_k == 1 and spec.m <= spec.token_tile
        or work.issue * work.blocks * 32
            <= s.channel_tiles * spec.channel_tile * spec.k * lean[spec.format]
end

-- The order in which a configuration is put together: each axis with the
-- values worth a try, which may depend on the axes before it. `narrow`, a
-- k_tile, is for the default: few values of the axes that matter least.
local function choices(spec, narrow)
    local function team(axes)
        return axes.channel_tile // 64 * ceil_div(axes.token_tile, 64)
    end
    return {
        { "token_tile", function() return token_tiles(spec.m) end },
        { "channel_tile", function() return { 64, 128, 256 } end },
        { "warps", function(axes)
            local one = team(axes)
            return { one, 2 * one, 4 * one, 8 * one }
        end },
        { "k_tile", function()
            return narrow and { narrow } or { 64, 128, 256 }
        end },
        { "stages", function()
            return narrow and { 4, 3, 2 } or { 2, 3, 4, 6 }
        end },
        { "split_k", function() return { 1, 2, 3, 4, 6, 8 } end },
        { "raster", function(axes)
            return (narrow or spec.m <= axes.token_tile) and { 0 } or { 0, 8 }
        end },
    }
end

-- Calls visit(axes) for each combination; an axis the user gave has only that
-- value.
local function each_configuration(spec, narrow, visit)
    local order = choices(spec, narrow)
    local axes = { variant = "mma" }
    local function choose(at)
        if at > #order then
            return visit(axes)
        end
        local axis, values = order[at][1], order[at][2]
        local given = spec[axis] ~= nil and { spec[axis] } or values(axes)
        for _, value in ipairs(given) do
            axes[axis] = value
            choose(at + 1)
        end
    end
    choose(1)
end

-- A new table: `spec`, with `axes` over it.
local function with_axes(spec, axes)
    local flat = {}
    for key, value in pairs(spec) do
        flat[key] = value
    end
    for axis, value in pairs(axes) do
        flat[axis] = value
    end
    return flat
end

-- Legal as far as this family can tell, and not plainly a waste, unless it is
-- what the user asked for.
local function is_candidate(spec, flat, device)
    if flat.warps > 16 or flat.warps < 1 or not M.legal(flat, device) then
        return false
    end
    local free = not (spec.split_k or spec.warps or spec.token_tile)
    local s = shape_of(flat)
    return not free
        or split_is_sensible(flat, s, device) and stages_are_sensible(flat, s)
            and is_lean(flat)
end

function M.space(spec, device)
    if spec.variant == "naive" then
        return { { variant = "naive" } }
    end
    local list = {}
    each_configuration(spec, false, function(axes)
        if is_candidate(spec, with_axes(spec, axes), device) then
            list[#list + 1] = with_axes(axes, {})
        end
    end)
    return list
end

-- What illegal axes of the user are completed with, so that legal() can say
-- what is wrong with them.
local function plain(spec)
    local axes = { variant = "mma", channel_tile = spec.channel_tile or 64,
                   token_tile = spec.token_tile or 8,
                   k_tile = spec.k_tile or 64, stages = spec.stages or 2,
                   split_k = spec.split_k or 1, raster = spec.raster or 0 }
    axes.warps = spec.warps
        or axes.channel_tile // 64 * ceil_div(axes.token_tile, 64)
    return axes
end

-- The best of a narrow space by the analytic estimate, or nil.
local function best_of(spec, device, k_tile)
    local best, best_time = nil, math.huge
    each_configuration(spec, k_tile, function(axes)
        local flat = with_axes(spec, axes)
        if is_candidate(spec, flat, device) then
            local time = cost.time(device, M.work(flat)).microseconds
            if time < best_time then
                best, best_time = with_axes(axes, {}), time
            end
        end
    end)
    return best
end

-- A stage of 128 k compiles fastest; longer ones take fewer instructions, and
-- shorter ones fit a small problem.
function M.default(spec, device)
    if spec.variant == "naive" then
        return { variant = "naive" }
    end
    local wide = spec.m <= 16 and best_of(spec, device, 256)
    local usual = best_of(spec, device, 128)
    if wide and usual then
        local function time(axes)
            local flat = with_axes(spec, axes)
            return cost.time(device, M.work(flat)).microseconds
        end
        return time(wide) < 0.9 * time(usual) and wide or usual
    end
    return usual or wide or best_of(spec, device, 64) or plain(spec)
end

return M
