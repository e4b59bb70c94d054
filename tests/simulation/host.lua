-- The part of a Redis that functions run in: the API table, the sandbox, errors, replies. Python gives `dispatch`, which
-- runs one command of the current server, and the JSON decoder. Strings are bytes on both sides.
--
-- From `dispatch`: a string or a number, false for nil, or (nil, kind, ...) with kind 0 error, 1 status, 2 flat array,
-- 3 nested array (a count first; a nested one is `true` and its count). To Python: the reply as it goes to the client, or
-- false, the error's text and where it was raised.
local dispatch, decode = ...

local getinfo = debug.getinfo
local NULL = newproxy()

local function build(stream, at)
  local made, count = {}, stream[at]
  at = at + 1
  for i = 1, count do
    if stream[at] == true then
      made[i], at = build(stream, at + 1)
    else
      made[i], at = stream[at], at + 1
    end
  end
  return made, at
end

local function converted(raises, first, kind, ...)
  if first ~= nil then return first end
  if kind == 2 then return { ... } end
  if kind == 1 then return { ok = (...) } end
  if kind == 3 then return (build({ ... }, 1)) end
  local failure = { err = (...), ignore_error_stats_update = true }
  if raises then error(failure, 0) end
  return failure
end

local function error_reply(text, ...)
  if type(text) ~= 'string' or select('#', ...) > 0 then return { err = 'ERR wrong number or type of arguments' } end
  if string.sub(text, 1, 1) == '-' then text = string.sub(text, 2) end
  if not string.find(text, ' ', 1, true) then return { err = 'ERR ' .. text } end
  return { err = text }
end

-- As in the server: whoever catches the error of a command by `pcall` gets its text and not the table.
local function caught(ok, failure, ...)
  if not ok and type(failure) == 'table' and type(failure.err) == 'string' then failure = failure.err end
  return ok, failure, ...
end

-- JSON as lua-cjson writes it.
local ESCAPES = { ['"'] = '\\"', ['\\'] = '\\\\', ['/'] = '\\/', ['\b'] = '\\b', ['\t'] = '\\t', ['\n'] = '\\n',
  ['\f'] = '\\f', ['\r'] = '\\r', ['\127'] = '\\u007f' }

local function escaped(text)
  return '"' .. string.gsub(text, '[%c"\\/\127]', function(byte)
    return ESCAPES[byte] or string.format('\\u%04x', string.byte(byte))
  end) .. '"'
end

local function encode(value)
  local kind = type(value)
  if kind == 'string' then return escaped(value) end
  if kind == 'boolean' or value == nil then return value == nil and 'null' or tostring(value) end
  if value == NULL then return 'null' end
  if kind == 'number' then return string.format('%.14g', value) end
  if kind ~= 'table' then error('Cannot serialise ' .. kind .. ': type not supported') end
  local parts = {}
  if #value > 0 then
    for i = 1, #value do parts[i] = encode(value[i]) end
    return '[' .. table.concat(parts, ',') .. ']'
  end
  for key, inner in pairs(value) do parts[#parts + 1] = escaped(tostring(key)) .. ':' .. encode(inner) end
  return '{' .. table.concat(parts, ',') .. '}'
end

local registered
local KNOWN_FLAGS = { ['no-writes'] = true, ['allow-oom'] = true, ['allow-stale'] = true, ['no-cluster'] = true,
  ['allow-cross-slot-keys'] = true }

local function register(name, callback, flags)
  if type(name) ~= 'string' or not string.find(name, '^[%w_]+$') then
    error('Function names can only contain letters, numbers, or underscores(_) and must be at least one character long')
  end
  if type(callback) ~= 'function' then error('callback argument given to redis.register_function must be a function') end
  for i = 1, #registered, 3 do
    if registered[i] == name then error('Function ' .. name .. ' already exists') end
  end
  for _, flag in ipairs(flags or {}) do
    if not KNOWN_FLAGS[flag] then error('unknown flag given') end
  end
  local at = #registered
  registered[at + 1], registered[at + 2], registered[at + 3] = name, table.concat(flags or {}, ' '), callback
end

local redis = {
  -- Not in tail position: a lost frame would shift the line that an error names.
  call = function(...) return (converted(true, dispatch(...))) end,
  pcall = function(...) return (converted(false, dispatch(...))) end,
  error_reply = error_reply,
  status_reply = function(text) return { ok = text } end,
  sha1hex = function(text) return (dispatch(true, text)) end,
  log = function() end,
  LOG_DEBUG = 0, LOG_VERBOSE = 1, LOG_NOTICE = 2, LOG_WARNING = 3,
  register_function = function(given, callback, ...)
    if type(given) ~= 'table' then return register(given, callback) end
    return register(given.function_name, given.callback, given.flags)
  end,
}

local sandbox = setmetatable({
  redis = redis, server = redis, string = string, table = table, math = math,
  cjson = { encode = encode, decode = function(text) return (decode(text, NULL)) end, null = NULL },
  assert = assert, error = error, getmetatable = getmetatable, ipairs = ipairs, next = next, pairs = pairs,
  pcall = function(...) return caught(pcall(...)) end, rawequal = rawequal, rawget = rawget, rawset = rawset, select = select, setmetatable = setmetatable,
  tonumber = tonumber, tostring = tostring, type = type, unpack = unpack, xpcall = xpcall,
}, {
  __index = function(_, name)
    error({ err = "ERR Script attempted to access nonexistent global variable '" .. tostring(name) .. "'" })
  end,
  __newindex = function() error({ err = 'ERR Attempt to modify a readonly table' }) end,
})

-- As the server's own handler, but the frames of this file are those of a C function there.
local function handler(failure)
  local level, frame = 2, getinfo(2, 'nSl')
  while frame and (frame.what == 'C' or frame.source == '=host') do
    level = level + 1
    frame = getinfo(level, 'nSl')
  end
  if type(failure) ~= 'table' then failure = { err = 'ERR ' .. tostring(failure) } end
  if frame then failure.source, failure.line = frame.source, frame.currentline end
  return failure
end

local function compile(text)
  local chunk, failure = loadstring(text, '@user_function')
  if not chunk then return failure end
  return setfenv(chunk, sandbox)
end

-- Runs a library's text anew, so that its locals are fresh; returns name, flags and callback of each function.
local function load_library(chunk)
  registered = {}
  local ok, failure = xpcall(chunk, handler)
  local found = registered
  registered = nil
  if not ok then return false, failure.err end
  return unpack(found)
end

-- A reply as the client reads it, RESP3, in pieces: one string to Python is cheaper than a row of values.
local function emit(out, n, value)
  local kind = type(value)
  if kind == 'string' then
    out[n + 1] = '$' .. #value .. '\r\n' .. value .. '\r\n'
  elseif kind == 'number' then
    out[n + 1] = string.format(':%d\r\n', value) -- cast as C does it, as in the server
  elseif kind == 'table' then
    if type(value.err) == 'string' then
      out[n + 1] = '-' .. string.gsub(value.err, '[\r\n]', ' ') .. '\r\n'
    elseif type(value.ok) == 'string' then
      out[n + 1] = '+' .. string.gsub(value.ok, '[\r\n]', ' ') .. '\r\n'
    else
      local count, header = 0, n + 1
      n = header
      while value[count + 1] ~= nil do
        count = count + 1
        n = emit(out, n, value[count])
      end
      out[header] = '*' .. count .. '\r\n'
      return n
    end
  else
    out[n + 1] = value == true and ':1\r\n' or '_\r\n'
  end
  return n + 1
end

local function run(callback, count, ...)
  local keys, args = {}, { select(count + 1, ...) }
  for i = 1, count do keys[i] = (select(i, ...)) end
  local ok, reply = xpcall(function() return (callback(keys, args)) end, handler)
  if not ok then return false, reply.err or 'ERR unknown error', reply.source, reply.line end
  local out = {}
  emit(out, 0, reply)
  return table.concat(out)
end

return compile, load_library, run
