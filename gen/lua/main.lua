-- main.lua -- the functions a host may call (gen/host/generator.h).
--
-- Each takes one table and returns one table; gen_host_call carries both over
-- as JSON.

local host = require("host")
local devices = require("devices")
local model = require("model")
local plan = require("plan")
local render = require("render")
local spec = require("spec")

-- A list of words, as every function that takes a SPEC gets it. A word with
-- spaces is several, so that a quoted SPEC is a SPEC.
local function words_of(argument)
    local list = {}
    if type(argument.words) ~= "table" then
        usage("words must be a list")
    end
    for at, word in ipairs(argument.words) do
        if type(word) ~= "string" then
            usage("word %d of the SPEC is not text", at)
        end
        for _, part in ipairs(spec.split(word)) do
            list[#list + 1] = part
        end
    end
    return list
end

local function parsed_text(argument, field)
    if type(argument[field]) ~= "string" then
        usage("%s must be text", field)
    end
    return spec.read(spec.split(argument[field]))
end

local function table_of(argument, field)
    if type(argument[field]) ~= "table" then
        usage("%s must be an object", field)
    end
    return argument[field]
end

local M = {}

M["spec.parse"] = function(argument)
    local parsed = spec.read(words_of(argument))
    local axes = plan.complete(parsed)
    return {
        family = parsed.family.name,
        key = spec.key_text(parsed),
        spec = spec.spec_text(parsed, axes),
        fields = parsed.fields,
        axes = axes,
    }
end

M["spec.model"] = function(argument)
    return model.keys(argument)
end

M["spec.left_out"] = function(argument)
    return model.left_out({ config = table_of(argument, "config") })
end

M["plan.candidates"] = function(argument)
    return host.list(plan.candidates(parsed_text(argument, "key")))
end

M["plan.default"] = function(argument)
    return plan.default(parsed_text(argument, "key"))
end

M["plan.cost"] = function(argument)
    if math.type(argument.blocks) ~= "integer" or argument.blocks < 1 then
        usage("blocks must be a positive integer")
    end
    return plan.cost(parsed_text(argument, "spec"),
                     table_of(argument, "counts"), argument.blocks,
                     table_of(argument, "resources"))
end

M["render.kernel"] = function(argument)
    return render.kernel(spec.read(words_of(argument)))
end

M["render.lua"] = function(argument)
    return render.lua(spec.read(words_of(argument)))
end

M["devices.list"] = function()
    return host.list(devices.list())
end

M["devices.get"] = function(argument)
    if argument.name ~= nil then
        return devices.of_name(tostring(argument.name))
    end
    return devices.of_arch(tostring(argument.arch))
end

return M
