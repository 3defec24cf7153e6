-- prelude.lua -- sort and usage: functions every script has.
--
-- Runs first in every state, as prelude(table). What it returns becomes
-- global; sort goes into the table library.

local table = ...

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
            local middle = math.min(low + width, count + 1)
            merge(from, to, low, middle, math.min(middle + width, count + 1),
                  less)
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

-- Raises an error that is the caller's to mend: no script is named.
local function usage(format, ...)
    error({ usage = string.format(format, ...) }, 0)
end

return { usage = usage }
