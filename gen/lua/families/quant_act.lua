-- quant_act.lua -- rows of fp16 or bf16 to int8, a scale and an exact sum.
-- The kernels are templates/quant_act.cu.tmpl (variant block, one block a row)
-- and quant_act_naive.cu.tmpl.

local cost = require("cost")

local M = { name = "quant_act", entry = "quant_act" }

function M.template(spec)
    return spec.variant == "naive" and "quant_act_naive.cu.tmpl"
        or "quant_act.cu.tmpl"
end

M.keys = {
    k = { kind = "integer", min = 32, max = 66311, multiple = 32,
          help = "values of a row" },
    m = { kind = "integer", min = 1, max = 1048576, default = 16,
          runtime = true, help = "tokens" },
    dtype = { kind = "choice", allowed = { "f16", "bf16" }, default = "f16" },
}

M.axes = {
    variant = { kind = "choice", allowed = { "block", "naive" },
                default = "block" },
    threads = { kind = "integer", min = 32, max = 1024, multiple = 32 },
}

-- 16-byte chunks of 8 values that a thread keeps in registers.
local function chunks_of(spec)
    local chunks = spec.k // 8
    return (chunks + spec.threads - 1) // spec.threads
end

local most_chunks = 16

function M.legal(spec)
    if spec.variant == "naive" then
        return true
    end
    local chunks = chunks_of(spec)
    if chunks > most_chunks then
        return false, string.format(
            "threads=%d: a row of %d is %d chunks of 8 a thread; a thread "
                .. "keeps at most %d in registers: more threads",
            spec.threads, spec.k, chunks, most_chunks)
    end
    return true
end

function M.launch(spec)
    return { entry = M.entry, threads = spec.threads, shared = 0,
             tile_n = spec.k, tile_m = 1, split_k = 1 }
end

function M.holes(spec)
    return { k = spec.k, in_bf16 = spec.dtype == "bf16",
             threads = spec.threads }
end

function M.work(spec)
    local warps = spec.threads // 32
    local bytes = spec.m * spec.k * 3 + spec.m * 8
    if spec.variant == "naive" then
        return { blocks = spec.m, threads = spec.threads, shared = 0,
                 registers = 24, dram_bytes = bytes, l2_bytes = bytes,
                 flight_bytes = 4, mma_ops = 0, issue = spec.k * 24,
                 wavefronts = 0 }
    end
    local chunks = chunks_of(spec)
    return {
        blocks = spec.m,
        threads = spec.threads,
        shared = warps * 4,
        registers = 24 + 4 * chunks,
        dram_bytes = bytes,
        l2_bytes = bytes,
        flight_bytes = spec.k * 2,
        mma_ops = 0,
        issue = warps * (60 + 110 * chunks),
        wavefronts = 4 * warps,
        -- Two block-wide reductions, each with its barriers.
        serial_us = 0.2 + 0.02 * warps,
    }
end

function M.space(spec)
    local list = {}
    for _, threads in ipairs({ 32, 64, 128, 256, 512, 1024 }) do
        if spec.variant == "naive" then
            return { { variant = "naive", threads = 32 } }
        end
        list[#list + 1] = { variant = "block", threads = threads }
    end
    return list
end

function M.default(spec, device)
    if spec.variant == "naive" then
        return { variant = "naive", threads = spec.threads or 32 }
    end
    local best = { variant = "block", threads = spec.threads or 1024 }
    local best_time = math.huge
    for _, axes in ipairs(M.space(spec, device)) do
        local flat = { variant = "block", k = spec.k, m = spec.m,
                       threads = spec.threads or axes.threads }
        if M.legal(flat) then
            local time = cost.time(device, M.work(flat)).microseconds
            if time < best_time then
                best = { variant = "block", threads = flat.threads }
                best_time = time
            end
        end
    end
    return best
end

return M
