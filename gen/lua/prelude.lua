-- prelude.lua -- pairs, sort and usage: functions every script has.
--
-- Runs first in every state, as prelude(next, table). No other chunk gets
-- `next`: Lua's order of keys differs from run to run, and emitted text must
-- not. What it returns becomes global; `sort` goes into the table library.

local next, table = ...

local rank = { number = 1, string = 2, boolean = 3 }

-- A total order of keys: numbers, then strings bytewise, then false, true.
local function key_before(a, b)
    local kind_a, kind_b = type(a), type(b)
    if kind_a ~= kind_b then
        return rank[kind_a] < rank[kind_b]
    elseif kind_a == "boolean" then
        return not a and b
    end
    return a < b
end

local function before(a, b)
    return a < b
end

-- Merges from[low..middle-1] and from[middle..high-1] into `to`; of equals
-- the left one goes first.
local function merge(from, to, low, middle, high, less)
    local left, right = low, middle
    for at = low, high - 1 do
        if left < middle
            and (right >= high or not less(from[right], from[left])) then
            to[at], left = from[left], left + 1
        else
            to[at], right = from[right], right + 1
        end
    end
end

-- Sorts a list in place. Stable, unlike Lua's own, whose pivots are random.
function table.sort(list, less)
    local from, to, count = list, {}, #list
    local width = 1
    less = less or before
    while width < count do
        for low = 1, count, 2 * width do
            local middle = low + width
            local high = middle + width
            if middle > count + 1 then middle = count + 1 end
            if high > count + 1 then high = count + 1 end
            merge(from, to, low, middle, high, less)
        end
        from, to = to, from
        width = 2 * width
    end
    if from ~= list then
        for at = 1, count do
            list[at] = from[at]
        end
    end
end

-- Like Lua's, in order of keys. Keys are numbers, strings and booleans. A key
-- removed on the way is skipped, one added on the way is not seen.
local function pairs(fields)
    local keys, at = {}, 0
    for key in next, fields do
        if not rank[type(key)] then
            error("pairs: a " .. type(key) .. " has no place in order", 2)
        end
        keys[#keys + 1] = key
    end
    table.sort(keys, key_before)
    return function()
        local value
        repeat
            at = at + 1
            value = fields[keys[at]]
        until value ~= nil or keys[at] == nil
        return keys[at], value
    end
end

-- Raises an error that is the caller's to mend: no script is named.
local function usage(format, ...)
    error({ usage = string.format(format, ...) }, 0)
end

return { pairs = pairs, usage = usage }
