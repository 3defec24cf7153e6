-- model.lua -- from a model's config.json to the kernels it needs.
--
-- q, k and v are one GEMM, gate and up are one GEMM: four linear shapes. Each
-- distinct K also needs its activations quantised. The output head stays fp16
-- (as do norms and embeddings), so it is not a gemm_w4a8: left_out() says so.
--
--     qkv      N = (heads + 2 kv_heads) head_dim   K = hidden
--     o        N = hidden                          K = heads head_dim
--     gate_up  N = 2 intermediate                  K = hidden
--     down     N = hidden                          K = intermediate
--
-- head_dim stands for itself: it need not be hidden / heads.

local host = require("host")
local spec = require("spec")
local words = require("words")

local M = {}

-- Where biases are: true, false, or the field of config.json that says so.
local architectures = {
    LlamaForCausalLM = { qkv = "attention_bias", o = "attention_bias",
                         mlp = "mlp_bias" },
    MistralForCausalLM = { qkv = false, o = false, mlp = false },
    Qwen2ForCausalLM = { qkv = true, o = false, mlp = false },
    Qwen3ForCausalLM = { qkv = "attention_bias", o = "attention_bias",
                         mlp = false },
}

local by_model_type = {
    llama = "LlamaForCausalLM", mistral = "MistralForCausalLM",
    qwen2 = "Qwen2ForCausalLM", qwen3 = "Qwen3ForCausalLM",
}

local function architecture_of(config)
    local known, name = {}, nil
    for architecture in pairs(architectures) do
        known[#known + 1] = architecture
    end
    if type(config.architectures) == "table" then
        name = config.architectures[1]
    else
        name = by_model_type[config.model_type]
    end
    if type(name) ~= "string" then
        usage("config.json: neither architectures nor model_type names one of "
              .. "%s", table.concat(known, " "))
    elseif not architectures[name] then
        usage("config.json: architecture '%s' is not one of %s%s", name,
              table.concat(known, " "), words.did_you_mean(name, known))
    end
    return architectures[name]
end

-- An integer field between 1 and `most`; `default` stands for an absent one.
local function integer(config, field, most, default)
    local value = config[field]
    if value == nil then
        value = default
    end
    if value == nil then
        usage("config.json: %s is missing", field)
    elseif math.type(value) ~= "integer" then
        usage("config.json: %s must be an integer", field)
    elseif value < 1 or value > most then
        usage("config.json: %s is %d, must be 1 to %d", field, value, most)
    end
    return value
end

local function flag(config, rule)
    if type(rule) == "boolean" then
        return rule and 1 or 0
    end
    local value = config[rule]
    if value ~= nil and type(value) ~= "boolean" then
        usage("config.json: %s must be true or false", rule)
    end
    return value and 1 or 0
end

-- The numbers of the four linears, checked.
local function read_config(config)
    local heads = integer(config, "num_attention_heads", 1024)
    local hidden = integer(config, "hidden_size", 1048576)
    local kv_heads = integer(config, "num_key_value_heads", 1024, heads)
    if heads % kv_heads ~= 0 then
        usage("config.json: num_attention_heads %d is not a multiple of "
              .. "num_key_value_heads %d", heads, kv_heads)
    end
    if config.head_dim == nil and hidden % heads ~= 0 then
        usage("config.json: head_dim is missing, and hidden_size %d is not a "
              .. "multiple of num_attention_heads %d", hidden, heads)
    end
    return {
        heads = heads,
        hidden = hidden,
        kv_heads = kv_heads,
        head_dim = integer(config, "head_dim", 4096,
                           math.max(1, hidden // heads)),
        intermediate = integer(config, "intermediate_size", 1048576),
        layers = integer(config, "num_hidden_layers", 4096),
        vocab = integer(config, "vocab_size", 1 << 28),
    }
end

-- name, N, K, bias of each linear, in the order of a layer.
local function linears(config)
    local rule, c = architecture_of(config), read_config(config)
    local attention = c.heads * c.head_dim
    return {
        { "qkv", attention + 2 * c.kv_heads * c.head_dim, c.hidden,
          flag(config, rule.qkv) },
        { "o", c.hidden, attention, flag(config, rule.o) },
        { "gate_up", 2 * c.intermediate, c.hidden, flag(config, rule.mlp) },
        { "down", c.hidden, c.intermediate, flag(config, rule.mlp) },
    }, c
end

-- The key of a list of words, checked by the family; without m.
local function entry(name, list, layers)
    local parsed = spec.read(list, "config.json: linear '" .. name .. "': ")
    return {
        name = name,
        family = parsed.family.name,
        key = spec.key_text(parsed, true),
        n = parsed.fields.n,
        k = parsed.fields.k,
        layers = layers,
    }
end

-- A setting, as a word that spec.read will check.
local function text_of(argument, name, default)
    local value = argument[name]
    if value == nil then
        value = default
    end
    if type(value) ~= "string" or not value:match("^[%w_]+$") then
        usage("%s must be a word", name)
    end
    return value
end

-- {config, weights, arch, out} -> list of {name, family, key, n, k, layers}:
-- the four linears, then quant_act for each distinct K.
function M.keys(argument)
    local config = argument.config
    if type(config) ~= "table" then
        usage("config.json: not an object")
    end
    local arch = "arch=" .. text_of(argument, "arch", "sm_90a")
    local out = text_of(argument, "out", "f16")
    local format = "format=" .. text_of(argument, "weights", nil)
    local shapes, c = linears(config)
    local list, widths, seen = {}, {}, {}
    for at, shape in ipairs(shapes) do
        local name, n, k, bias = table.unpack(shape)
        if n % 8 ~= 0 then
            usage("config.json: linear '%s' has %d outputs; gemm_w4a8 takes "
                  .. "multiples of 8", name, n)
        end
        list[at] = entry(name, { "gemm_w4a8", arch, format, "n=" .. n,
                                 "k=" .. k, "bias=" .. bias, "out=" .. out },
                         c.layers)
        if not seen[k] then
            seen[k] = true
            widths[#widths + 1] = k
        end
    end
    table.sort(widths)
    for _, k in ipairs(widths) do
        list[#list + 1] = entry("quant_act", { "quant_act", arch,
                                               "dtype=" .. out, "k=" .. k },
                                c.layers)
    end
    return host.list(list)
end

-- What of the model these keys do not cover, and why.
function M.left_out(argument)
    local _, c = linears(argument.config)
    return host.list({
        { name = "lm_head", n = c.vocab, k = c.hidden,
          reason = "the output head stays fp16" },
    })
end

return M
