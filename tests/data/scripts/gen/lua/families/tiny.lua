-- tiny.lua -- a family of one small kernel: the fixture of the generator's
-- tests, and the shortest example of what a family is. y = x * scale.
--
-- Use it with --scripts tests/data/scripts.

local M = { name = "tiny", template = "tiny.cu.tmpl" }

M.keys = {
    n = { kind = "integer", min = 8, max = 4096, multiple = 8,
          help = "elements, a multiple of 8" },
    m = { kind = "integer", min = 1, max = 64, default = 1, runtime = true },
    type = { kind = "choice", allowed = { "float", "int" },
             default = "float" },
    scale = { kind = "integer", allowed = { 1, 2, 3 }, default = 2 },
}

M.axes = {
    variant = { kind = "choice", allowed = { "plain", "unrolled" },
                default = "plain" },
    threads = { kind = "integer", allowed = { 32, 64, 128, 256 } },
    unroll = { kind = "integer", min = 2, max = 4 },
}

function M.axes_used(spec)
    if spec.variant == "plain" then
        return { "variant", "threads" }
    end
    return { "variant", "threads", "unroll" }
end

function M.check(spec)
    if spec.type == "int" and spec.scale == 3 then
        return false, "scale=3: not with type=int"
    end
    return true
end

function M.legal(spec)
    if spec.threads > spec.n then
        return false, string.format("threads=%d: more than n=%d", spec.threads,
                                    spec.n)
    end
    return true
end

function M.default()
    return { threads = 32, unroll = 2 }
end

function M.space()
    local list = {}
    for _, threads in ipairs({ 32, 64, 128, 256 }) do
        list[#list + 1] = { variant = "plain", threads = threads }
        for unroll = 2, 4 do
            list[#list + 1] = { variant = "unrolled", threads = threads,
                                unroll = unroll }
        end
    end
    return list
end

function M.launch(spec)
    return { entry = "tiny", threads = spec.threads, shared = 0,
             tile_n = spec.threads, tile_m = 1, split_k = 1 }
end

function M.holes(spec)
    return { n = spec.n, element = spec.type, scale = spec.scale,
             threads = spec.threads, unroll = spec.unroll or 1 }
end

function M.work(spec)
    return { blocks = (spec.n + spec.threads - 1) // spec.threads,
             threads = spec.threads, registers = 16, dram_bytes = 8 * spec.n,
             issue = 8 * spec.threads // 32 + 512 // spec.threads,
             mma_ops = 0 }
end

return M
