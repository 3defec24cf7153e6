-- spec.lua -- a SPEC: words to declared, checked, canonical values.
--
--     gemm_w4a8 format=w4g128 n=4096 k=14336 m=16 arch=sm_90a channel_tile=128
--     family    keys: what is computed                        axes: how
--
-- A family (gen/lua/families/NAME.lua) declares its keys and axes; each
-- declaration has
--
--     kind      "integer" or "choice" (one of some words)
--     allowed   list of allowed values
--     min, max, multiple    for integers
--     default   value when it is not given; a key without one must be given,
--               an axis without one comes from family.default
--     runtime   true: an argument of the launch (m), so the emitted text does
--               not depend on it
--     help      a few words for error messages
--
-- Canonical form: the family, then key=value sorted by key, one space between.
-- The canonical `key` has the keys, the canonical `spec` the axes as well.

local host = require("host")
local devices = require("devices")
local words = require("words")

local M = {}

local families_path = "gen/lua/families/"

-- Names of all families, sorted.
function M.families()
    local names = {}
    for _, path in ipairs(host.files(families_path)) do
        names[#names + 1] = path:match("([%w_]+)%.lua$")
    end
    return names
end

local arch_option = {
    kind = "choice",
    allowed = devices.archs(),
    default = "sm_90a",
    help = "what to compile for",
}

-- Where the words come from, when not from a command line: "config.json:
-- linear 'qkv': ".
local origin = ""

local function refuse(format, ...)
    usage("%s%s", origin, string.format(format, ...))
end

-- Finds mistakes of a family's author while they are near.
local function check_family(family, name)
    local path = families_path .. name .. ".lua"
    for _, field in ipairs({ "legal", "default", "space", "launch", "holes",
                             "work" }) do
        if type(family[field]) ~= "function" then
            error(path .. ": '" .. field .. "' is not a function", 0)
        end
    end
    if family.name ~= name then
        error(path .. ": its name is '" .. tostring(family.name) .. "'", 0)
    end
    for _, group in ipairs({ "keys", "axes" }) do
        for key, option in pairs(family[group]) do
            if option.kind ~= "integer" and option.kind ~= "choice" then
                error(path .. ": " .. key .. " has no known kind", 0)
            end
        end
    end
end

function M.family(name)
    for _, known in ipairs(M.families()) do
        if known == name then
            local family = require("families." .. name)
            check_family(family, name)
            return family
        end
    end
    refuse("unknown family '%s', one of %s%s", name,
          table.concat(M.families(), " "),
          words.did_you_mean(name, M.families()))
end

-- The declaration of a key or an axis, or nil.
local function option_of(family, key)
    return key == "arch" and arch_option or family.keys[key]
        or family.axes[key]
end

local function all_keys(family)
    local keys = { "arch" }
    for _, group in ipairs({ family.keys, family.axes }) do
        for key in pairs(group) do
            keys[#keys + 1] = key
        end
    end
    table.sort(keys)
    return keys
end

local function check_integer(key, option, value)
    if option.multiple and value % option.multiple ~= 0 then
        refuse("%s=%d: must be a multiple of %d", key, value, option.multiple)
    elseif option.min and value < option.min then
        refuse("%s=%d: must be at least %d", key, value, option.min)
    elseif option.max and value > option.max then
        refuse("%s=%d: must be at most %d", key, value, option.max)
    end
end

local function check_allowed(key, option, value)
    local texts = {}
    for at, allowed in ipairs(option.allowed) do
        if allowed == value then
            return
        end
        texts[at] = tostring(allowed)
    end
    refuse("%s=%s: must be one of %s%s", key, tostring(value),
          table.concat(texts, " "), words.did_you_mean(tostring(value), texts))
end

-- A value of the right type, checked against its declaration.
function M.check_value(key, option, value)
    if option.kind == "integer" then
        if math.type(value) ~= "integer" then
            refuse("%s=%s: must be an integer", key, tostring(value))
        end
        check_integer(key, option, value)
    end
    if option.allowed then
        check_allowed(key, option, value)
    end
    return value
end

local function read_value(key, option, text)
    if option.kind == "choice" then
        return M.check_value(key, option, text)
    end
    local digits = text:match("^%-?%d+$")
    if not digits or #digits > 12 then
        refuse("%s=%s: must be an integer", key, text)
    end
    return M.check_value(key, option, math.tointeger(tonumber(digits)))
end

-- The words behind the family as {key = value}, each declared and given once.
local function read_words(family, list)
    local given = {}
    for at = 2, #list do
        local key, text = list[at]:match("^([%w_%-]+)=(.+)$")
        if not key then
            refuse("'%s': expected key=value", list[at])
        end
        local option = option_of(family, key)
        if not option then
            refuse("%s: %s has no key '%s'%s; it takes %s", list[at],
                  family.name, key,
                  words.did_you_mean(key, all_keys(family)),
                  table.concat(all_keys(family), " "))
        end
        if given[key] ~= nil then
            refuse("%s is given twice", key)
        end
        given[key] = read_value(key, option, text)
    end
    return given
end

local function take_keys(family, given)
    local fields = { arch = given.arch or arch_option.default }
    for key, option in pairs(family.keys) do
        local value = given[key]
        if value == nil then
            value = option.default
        end
        if value == nil then
            refuse("%s: %s= is missing%s", family.name, key,
                  option.help and " (" .. option.help .. ")" or "")
        end
        fields[key] = value
    end
    return fields
end

-- Words to {family, fields, given}: the keys complete and checked, the axes
-- as far as they were given. `from` leads error messages.
function M.read(list, from)
    origin = from or ""
    if #list == 0 then
        refuse("a SPEC is a family and key=value words; families: %s",
              table.concat(M.families(), " "))
    end
    local family = M.family(list[1])
    local given = read_words(family, list)
    local spec = { family = family, fields = take_keys(family, given),
                   given = {} }
    for axis in pairs(family.axes) do
        spec.given[axis] = given[axis]
    end
    if family.check then
        local good, rule = family.check(M.flat(spec))
        if not good then
            refuse("%s", rule)
        end
    end
    return spec
end

-- The text of a key or spec as words.
function M.split(text)
    local list = {}
    for word in text:gmatch("%S+") do
        list[#list + 1] = word
    end
    return list
end

-- What the functions of a family get: family name, keys and axes side by side.
function M.flat(spec, axes)
    local flat = { family = spec.family.name }
    for key, value in pairs(spec.fields) do
        flat[key] = value
    end
    for axis, value in pairs(axes or spec.given) do
        flat[axis] = value
    end
    return flat
end

local function join(name, fields)
    local list = { name }
    for key, value in pairs(fields) do
        list[#list + 1] = key .. "=" .. tostring(value)
    end
    return table.concat(list, " ")
end

-- Canonical texts. `except_runtime` leaves out what the emitted text does not
-- depend on.
function M.key_text(spec, except_runtime)
    return M.spec_text(spec, {}, except_runtime)
end

function M.spec_text(spec, axes, except_runtime)
    local flat = M.flat(spec, axes)
    flat.family = nil
    if except_runtime then
        flat = M.without_runtime(spec.family, flat)
    end
    return join(spec.family.name, flat)
end

function M.without_runtime(family, flat)
    local rest = {}
    for key, value in pairs(flat) do
        local option = family.keys[key]
        if not (option and (option.runtime or key == "m")) then
            rest[key] = value
        end
    end
    return rest
end

return M
