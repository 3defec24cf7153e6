-- plan.lua -- from a key to configurations: legal ones, best first.
--
--     space (family) -> legal (family, device limits) -> estimate -> order
--
-- A configuration is a value for each axis that means something for its
-- variant. What the user gave stands; the rest comes from the family.

local spec = require("spec")
local devices = require("devices")
local cost = require("cost")

local M = {}

-- Limits of every kernel on a device, whatever its family says.
local function fits(device, launch, work)
    if launch.threads < 1 or launch.threads > 1024 then
        return false, string.format(
            "%d threads: a block has 1 to 1024", launch.threads)
    elseif work.shared > device.shared_per_block then
        return false, string.format(
            "%d bytes of shared memory: a block has %d on %s", work.shared,
            device.shared_per_block, device.arch)
    end
    local registers = (work.registers or cost.default_registers)
        * launch.threads
    if registers > device.registers_per_sm then
        return false, string.format(
            "about %d registers a thread in %d threads: an SM has %d",
            work.registers, launch.threads, device.registers_per_sm)
    end
    return true
end

local function analyse(family, flat, device)
    local work = family.work(flat, device)
    work.shared = work.shared or 0
    return work, family.launch(flat, device)
end

-- A complete configuration as a candidate, or nil and the rule it breaks.
local function assess(parsed, axes, device)
    local family, flat = parsed.family, spec.flat(parsed, axes)
    local good, rule = family.legal(flat, device)
    if not good then
        return nil, rule or "the family refuses it and does not say why"
    end
    local work, launch = analyse(family, flat, device)
    good, rule = fits(device, launch, work)
    if not good then
        return nil, rule
    end
    local time = family.estimate and family.estimate(flat, device)
        or cost.time(device, work).microseconds
    return {
        spec = spec.spec_text(parsed, axes),
        launch = launch,
        estimate_us = time + 0.0,
    }
end

-- Axes that mean something for this variant, as a set.
local function used_axes(family, flat)
    local used = {}
    if family.axes_used then
        for _, axis in ipairs(family.axes_used(flat)) do
            used[axis] = true
        end
    else
        for axis in pairs(family.axes) do
            used[axis] = true
        end
    end
    return used
end

-- The given axes plus declared defaults: what default() and space() start
-- from.
local function start_of(parsed)
    local axes = {}
    for axis, option in pairs(parsed.family.axes) do
        axes[axis] = parsed.given[axis]
        if axes[axis] == nil then
            axes[axis] = option.default
        end
    end
    local used = used_axes(parsed.family, spec.flat(parsed, axes))
    for axis in pairs(axes) do
        if not used[axis] then
            if parsed.given[axis] ~= nil then
                usage("%s=%s: variant %s has no such axis", axis,
                      tostring(parsed.given[axis]), tostring(axes.variant))
            end
            axes[axis] = nil
        end
    end
    return axes
end

-- What the family proposes, under what the user gave; values are checked
-- against the declarations, as a family's author errs too.
local function overlay(parsed, proposed)
    local family, axes = parsed.family, {}
    for axis, value in pairs(proposed) do
        if not family.axes[axis] then
            error(family.name .. " proposes an undeclared axis '" .. axis
                  .. "'", 0)
        end
        axes[axis] = value
    end
    for axis, option in pairs(family.axes) do
        if parsed.given[axis] ~= nil then
            axes[axis] = parsed.given[axis]
        elseif axes[axis] == nil then
            axes[axis] = option.default
        end
    end
    local used = used_axes(family, spec.flat(parsed, axes))
    for axis, value in pairs(axes) do
        if not used[axis] then
            axes[axis] = nil
        else
            spec.check_value(axis, family.axes[axis], value)
        end
    end
    for axis in pairs(used) do
        if axes[axis] == nil then
            error(family.name .. " gives no value for axis '" .. axis .. "'", 0)
        end
    end
    return axes
end

local function is_complete(family, flat)
    for axis in pairs(used_axes(family, flat)) do
        if flat[axis] == nil then
            return false
        end
    end
    return true
end

-- The axes of a SPEC: given, or the family's default; legal, or an error that
-- names the rule.
function M.complete(parsed)
    local family = parsed.family
    local device = devices.of_arch(parsed.fields.arch)
    local start = start_of(parsed)
    local flat = spec.flat(parsed, start)
    local proposed = is_complete(family, flat) and start
        or family.default(flat, device)
    local axes = overlay(parsed, proposed)
    local candidate, rule = assess(parsed, axes, device)
    if not candidate then
        usage("%s: illegal configuration: %s", spec.spec_text(parsed, axes),
              rule)
    end
    return axes, device, candidate
end

-- The default configuration of a key.
function M.default(parsed)
    local _, _, candidate = M.complete(parsed)
    return candidate
end

local function matches(given, axes)
    for axis, value in pairs(given) do
        if axes[axis] ~= nil and axes[axis] ~= value then
            return false
        end
    end
    return true
end

-- All legal configurations, best estimate first; equals by spec. The default
-- is always among them.
function M.candidates(parsed)
    local family = parsed.family
    local _, device, default = M.complete(parsed)
    local list, seen = { default }, { [default.spec] = true }
    local start = spec.flat(parsed, start_of(parsed))
    for _, proposed in ipairs(family.space(start, device)) do
        if matches(parsed.given, proposed) then
            local candidate = assess(parsed, overlay(parsed, proposed), device)
            if candidate and not seen[candidate.spec] then
                seen[candidate.spec] = true
                list[#list + 1] = candidate
            end
        end
    end
    table.sort(list, function(a, b)
        if a.estimate_us ~= b.estimate_us then
            return a.estimate_us < b.estimate_us
        end
        return a.spec < b.spec
    end)
    return list
end

-- The time of a compiled configuration, from what the emulator counted.
function M.cost(parsed, counts, blocks, resources)
    local axes, device = M.complete(parsed)
    local family, flat = parsed.family, spec.flat(parsed, axes)
    if family.cost then
        return family.cost(flat, counts, blocks, resources, device)
    end
    local work, launch = analyse(family, flat, device)
    work.threads = work.threads or launch.threads
    return cost.measured(device, work, counts, blocks, resources)
end

return M
