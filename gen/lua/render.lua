-- render.lua -- from a SPEC to the text of a kernel.
--
-- The text is a banner and the rendered template. It depends on the template,
-- the keys and the axes, but not on keys that are arguments of the launch (m):
-- the same kernel for two M buckets is the same text, so it is compiled and
-- cached once.

local host = require("host")
local plan = require("plan")
local spec = require("spec")

local M = {}

local function banner(template, hash, text)
    return table.concat({
        "// Emitted by Tessera " .. host.version .. "; do not edit.",
        "//",
        "//   template  templates/" .. template .. " sha256 "
            .. hash:sub(1, 16),
        "//   spec      " .. text,
        "//   command   tessera gen"
            .. (host.user_scripts and " --scripts DIR " or " ") .. text,
        "",
        "",
    }, "\n")
end

local function template_of(family, flat)
    if type(family.template) == "string" then
        return family.template
    end
    return family.template(flat)
end

-- {source, entry, spec, key, launch}
function M.kernel(parsed)
    local family = parsed.family
    local axes, device = plan.complete(parsed)
    local flat = spec.flat(parsed, axes)
    local fixed = spec.without_runtime(family, flat)
    local template = template_of(family, fixed)
    local body, hash = host.render(template, family.holes(fixed, device))
    local launch = family.launch(flat, device)
    local text = spec.spec_text(parsed, axes, true)
    return {
        source = banner(template, hash, text) .. body,
        entry = launch.entry or family.entry or family.name,
        spec = spec.spec_text(parsed, axes),
        key = spec.key_text(parsed),
        launch = launch,
    }
end

-- The template as the Lua it is translated to.
function M.lua(parsed)
    local axes = plan.complete(parsed)
    local fixed = spec.without_runtime(parsed.family,
                                       spec.flat(parsed, axes))
    return { chunk = host.translate(template_of(parsed.family, fixed)) }
end

return M
