-- words.lua -- "did you mean": how far two words are apart.

local M = {}

-- Edits (insert, drop, replace) from one word to the other.
local function distance(a, b)
    local row = {}
    for j = 0, #b do
        row[j] = j
    end
    for i = 1, #a do
        local diagonal = row[0]
        row[0] = i
        for j = 1, #b do
            local change = a:byte(i) == b:byte(j) and 0 or 1
            local best = math.min(row[j] + 1, row[j - 1] + 1,
                                  diagonal + change)
            diagonal, row[j] = row[j], best
        end
    end
    return row[#b]
end

-- " (did you mean 'x'?)" for the nearest candidate, or "" when none is near.
function M.did_you_mean(word, candidates)
    local best, least = nil, #word < 5 and 2 or 3
    if #word < 3 or #word > 40 then
        return ""
    end
    for _, candidate in ipairs(candidates) do
        local edits = distance(word:lower(), candidate:lower())
        if edits < least then
            best, least = candidate, edits
        end
    end
    return best and best ~= word and " (did you mean '" .. best .. "'?)" or ""
end

return M
