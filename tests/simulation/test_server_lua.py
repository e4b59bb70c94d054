"""The simulated server's Lua against a real one's: what a function may call, gets back and may return."""

from __future__ import annotations

import pytest

from tests.simulation.differential import Pair, compare, outcome
from tests.support.server import RealServer

EXPRESSIONS = r"""
nil
true
false
3.99
-3.99
0/0 ~= 0/0
2^53
'text'
'\0\255'
{}
{ 1, 'two', 3.7, true }
{ 1, nil, 3 }
{ 1, false, 3 }
{ { 1, { 2, { 3 } } }, {}, 'x' }
{ ok = 'FINE' }
{ err = 'MINE text' }
{ err = 'alone' }
{ name = 1 }
{ { ok = 'FINE' }, 1 }
redis.status_reply('FINE')
redis.error_reply('MINE text')
redis.error_reply('alone')
redis.error_reply('-MINE text')
redis.error_reply('-alone')
redis.error_reply('EPOCH 3 is the epoch now, it was changed')
redis.call('SET', 'k:a', 'b')
redis.call('SET', 'k:a', 'b').ok
redis.call('GET', 'k:nothing')
type(redis.call('GET', 'k:nothing'))
redis.call('GET', 'k:list')
redis.pcall('GET', 'k:list')
redis.pcall('GET', 'k:list').err
type(redis.pcall('GET', 'k:list'))
redis.call('TYPE', 'k:list').ok
type(redis.call('TYPE', 'k:list'))
redis.call('STRLEN', 'k:number')
type(redis.call('STRLEN', 'k:number'))
redis.call('HGETALL', 'k:hash')
#redis.call('HGETALL', 'k:hash')
redis.call('HMGET', 'k:hash', 'a', 'nothing', 'b')
redis.call('HMGET', 'k:hash', 'a', 'nothing', 'b')[2] == false
redis.call('ZRANGE', 'k:zset', 0, -1, 'WITHSCORES')
redis.call('ZSCORE', 'k:zset', 'b')
redis.call('ZRANGEBYSCORE', 'k:zset', '-inf', '+inf', 'WITHSCORES', 'LIMIT', 0, 2)
redis.call('XRANGE', 'k:stream', '-', '+')
redis.call('XREVRANGE', 'k:stream', '+', '-', 'COUNT', 1)[1][2][2]
redis.call('XRANGE', 'k:stream', '-', '+', 'COUNT', 0)
redis.call('XREAD', 'STREAMS', 'k:stream', '0')
redis.call('XREAD', 'STREAMS', 'k:nothing', '0')
redis.call('XADD', 'k:stream', '7-1', 'a', 'b')
redis.call('LRANGE', 'k:list', 0, -1)
redis.call('PUBLISH', 'channel', 'text')
redis.call('PTTL', 'k:nothing')
redis.call('SET', 'k:b', 1)
redis.call('SET', 'k:b', 1.5) and redis.call('GET', 'k:b')
redis.call('SET', 'k:b', 0.125) and redis.call('GET', 'k:b')
redis.call('SET', 'k:b', 2^53) and redis.call('GET', 'k:b')
redis.call('SET', 'k:b', 1700000000123) and redis.call('GET', 'k:b')
redis.call('SET', 'k:b', -0.25) and redis.call('GET', 'k:b')
redis.call('set', 'k:b', 'lower')
redis.call('NOSUCH', 'a')
redis.pcall('NOSUCH', 'a')
redis.call('GET')
redis.call('GET', 'a', 'b')
redis.call('SUBSCRIBE', 'a')
redis.call('FCALL', 'f', 0)
redis.call('GET', {})
redis.call('GET', true)
redis.call()
pcall(redis.call, 'GET', 'k:list')
select(2, pcall(redis.call, 'GET', 'k:list')).err
type(select(2, pcall(redis.call, 'GET', 'k:list')))
error('text')
error({ err = 'MINE text' })
error({ err = 'alone' })
error(redis.pcall('GET', 'k:list'))
(nil) + 1
nosuch
rawget(_G or {}, 'x')
#KEYS
string.match('killswitch:state:a:b', '^(.-):state:(.+)$')
string.format('%.0f', 2^53)
string.format('%.0f', 1700000000123)
string.gsub('a\tb\127', '[%c\127]', ' ')
tonumber('0x10')
tonumber('1e400') == math.huge
tostring(nil)
tostring(1e15)
tostring(123456789012345678)
redis.sha1hex('')
redis.sha1hex('text')
redis.sha1hex(12)
cjson.encode({ 'version', 1, 'was', '(absent)', 'at_ms', '1700000000000', 0 })
cjson.encode({})
cjson.encode({ 1, 2.5, 1e15, 1e20, true, false })
cjson.encode({ 'a"b\\c/d\n\t\1\127\255' })
cjson.encode({ a = { 1 } })
cjson.encode('text')
cjson.encode(nil)
cjson.encode({ cjson.null })
cjson.decode('[1,"two",[3]]')
cjson.decode('{"1":"x"}')[1] == nil
cjson.decode('{"a":{"b":[7]}}').a.b[1]
cjson.decode('[null]')[1] == cjson.null
type(cjson.decode('[null]')[1])
cjson.decode('"\\u00e9\\n\\/"')
cjson.decode('["\255"]')
cjson.decode('[1.5]')[1] * 2
cjson.decode('true')
pcall(cjson.decode, '')
pcall(cjson.decode, '[1,')
pcall(cjson.decode, '[' .. string.rep('[', 5000))
pcall(cjson.decode, {})
table.concat({ 'a', 1, 2.5 }, ',')
unpack({ 1, 2, 3 })
"""

SNIPPETS = [line for line in EXPRESSIONS.splitlines() if line]
# In a sandbox these names do not exist; the wording of the error differs between the servers.
SEALED = ("nosuch", "rawget(_G or {}, 'x')", "#KEYS")


def _library(name: str, expression: str, flags: str = "") -> str:
    return (
        f"#!lua name={name}\nredis.register_function{{ function_name = 'f', flags = {{ {flags} }}, "
        f"callback = function(keys, args) return {expression} end }}\n"
    )


def _prepare(pair: Pair) -> None:
    for words in (
        ("RPUSH", "k:list", "a", "b"),
        ("SET", "k:number", "12"),
        ("HSET", "k:hash", "a", "1", "b", "2"),
        ("ZADD", "k:zset", "1", "a", "2.5", "b", "inf", "c", "1e20", "d", "0.5", "e"),
        ("XADD", "k:stream", "5-1", "a", "1"),
        ("XADD", "k:stream", "6-1", "a", "2", "b", "3"),
    ):
        pair.run(words)


@pytest.mark.parametrize("expression", [snippet for snippet in SNIPPETS if snippet not in SEALED])
def test_what_a_function_calls_and_returns_is_what_a_real_server_makes_of_it(
    module_server: RealServer, expression: str
) -> None:
    """Types, nil, numbers, errors and JSON cross the border between commands, Lua and replies as they really do."""

    def action(pair: Pair) -> None:
        _prepare(pair)
        pair.run(("FCALL", "f", 0))
        pair.compare_contents()

    assert compare(module_server.socket_path, _library("probe", expression), "k", action)


@pytest.mark.parametrize("flags", ["", "'no-writes'", "'allow-oom'"])
@pytest.mark.parametrize("call", ["FCALL", "FCALL_RO"])
def test_flags_of_a_function_bind_it_as_on_a_real_server(module_server: RealServer, flags: str, call: str) -> None:
    """A function that says it does not write cannot, and one that does not say so is no read-only call."""

    def action(pair: Pair) -> None:
        pair.run((call, "f", 0))
        pair.compare_contents()

    library = _library("probe", "redis.call('SET', 'k:a', 'b')", flags)
    assert compare(module_server.socket_path, library, "k", action)


TEXTS = {
    "no header": "redis.register_function('f', function() return 1 end)",
    "no name": "#!lua\nredis.register_function('f', function() return 1 end)",
    "does not compile": "#!lua name=probe\nthis is not Lua",
    "fails": "#!lua name=probe\nerror('text')",
    "registers nothing": "#!lua name=probe\nlocal a = 1",
    "registers twice": "#!lua name=probe\n" + "redis.register_function('f', function() return 1 end)\n" * 2,
    "not a function": "#!lua name=probe\nredis.register_function('f', 1)",
    "no name of a function": "#!lua name=probe\nredis.register_function('a b', function() return 1 end)",
    "unknown flag": _library("probe", "1", "'nosuch'"),
    "command while loading": "#!lua name=probe\nredis.call('SET', 'k:a', 'b')",
    "writes a global": "#!lua name=probe\nx = 1",
    "a sound one": _library("probe", "'replaced'"),
}


@pytest.mark.parametrize("replace", [(), ("REPLACE",)])
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_text_that_is_no_library_is_refused_where_a_real_server_refuses_it(
    module_server: RealServer, text: str, replace: tuple[str, ...]
) -> None:
    """What FUNCTION LOAD takes, and what it leaves as it was, is what a real server takes and leaves."""

    def action(pair: Pair) -> None:
        words = ("FUNCTION", "LOAD", *replace, text)
        real, simulated = pair.line.call(*words), outcome(pair.server, pair.session, words)
        # In the wording of these no two releases agree.
        assert (real[0] == "error") == (simulated[0] == "error")
        pair.run(("FCALL", "f", 0))

    assert compare(module_server.socket_path, _library("probe", "'kept'"), "k", action)
