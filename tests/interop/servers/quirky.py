"""A server whose every byte is written by hand: what a proxy loses when it rebuilds JSON shows here.

Unknown members, member order, digits beyond a double, lone surrogates, explicit nulls, repeated members, odd spacing,
every place that holds a URI, errors with data. `echo` answers with the text of its arguments as it arrived. No SDK.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from spans import Node, parse, quote, splice, without  # noqa: E402

REVISIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")

TOOLS = [
    # Known members in no usual order, unknown ones between, each with an explicit null somewhere.
    r"""{"zz_first": null, "inputSchema":{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","$defs":{"Node":{"$anchor":"node","type":"object","properties":{"next":{"$ref":"#node"},"weight":{"type":"number","maximum":1e400,"multipleOf":0.10}}}},"properties":{"z":{"$ref":"#/$defs/Node"},"a":{"type":["string","null"],"default":null}},"unevaluatedProperties":false,"x-vendor":{"b":1,"a":2}},"description":"Echoes its arguments \u00e9\u00E9é","name":"echo","vendor.example/flag":true,"annotations":{"readOnlyHint":true,"futureHint":{"level":3}}}""",
    r"""{"name":"canned","title":"Canned \ud83d\ude00 answers","description":"Answers by number","inputSchema":{"type":"object","properties":{"which":{"type":"string"}}},"outputSchema":{"type":"object","properties":{"big":{"type":"integer"}}},"icons":[{"src":"https://quirky.example.org/icon.png","mimeType":"image/png","sizes":["48x48","any"],"theme":"dark","futureMember":0.10},{"src":"data:image/gif;base64,R0lGODlhAQABAAAAACw="}],"_meta":{"example.org/score":1.0000000000000000001,"example.org/count":12345678901234567890123,"nested":{"b":{},"a":[]}}}""",
    r"""{"name":"fail","inputSchema":{"type":"object"},"description":null}""",
    r"""{"name":"widget","description":"Has a user interface","inputSchema":{"type":"object"},"_meta":{"ui":{"resourceUri":"ui://panel/main.html","visibility":["model","app"]},"ui/resourceUri":"ui://panel/main.html"}}""",
    r"""{"name":"Dotted.Name/With Ümlaut","description":"A name that few clients accept","inputSchema":{"type":"object"}}""",
    r"""{"name":"a_name_that_is_much_longer_than_what_is_left_of_sixty_four_characters","inputSchema":{"type":"object"}}""",
]

RESOURCES = [
    r"""{"size":9007199254740993,"uri":"quirk://one","name":"one","annotations":{"priority":0.30,"audience":["user"],"lastModified":"2025-01-12T15:00:58Z","unknown":null},"_meta":{"a":1,"A":2}}""",
    r"""{"uri":"QUIRK://Two%20words/?q=%C3%BC#frag","name":"two","icons":[],"extra":[1,1.0,1e0,-0,-0.0,1E+2]}""",
    r"""{"uri":"quirk:opaque:part","name":"opaque"}""",
    r"""{"uri":"file:///quirk/etc/hosts","name":"hosts","description":"\ud800 alone"}""",
    r"""{"uri":"https://quirky.example.org/page","name":"page"}""",
    r"""{"uri":"ui://panel/main.html","name":"panel","mimeType":"text/html;profile=mcp-app"}""",
    r"""{"uri":"quirk:\/\/escaped\/slashes","name":"escaped"}""",
]

TEMPLATES = [
    r"""{"uriTemplate":"quirk://{+path}{?q*}{&page:3}{#frag}","name":"all-operators","vendor":{"keep":"me"}}""",
    r"""{"name":"files","uriTemplate":"file:///quirk/{dir}/{file}","mimeType":null}""",
]

PROMPTS = [
    r"""{"name":"greet","arguments":[{"name":"who","required":true,"vendor":1},{"required":false,"name":"how"}],"icons":[{"src":"https://quirky.example.org/i.svg"}],"unknown":{"z":0,"a":0}}""",
    r"""{"title":null,"name":"embed","description":""}""",
]

ANSWERS = {
    "numbers": r"""{"content":[{"type":"text","text":"numbers"}],"structuredContent":{"big":12345678901234567890123,"fine":1.0000000000000000001,"int":1,"float":1.0,"exp":1e0,"EXP":1E+02,"tiny":5e-400,"huge":1e400,"negzero":-0,"negzerof":-0.0,"trailing":0.10,"i64":-9223372036854775808,"u64":18446744073709551615,"more":18446744073709551616}}""",
    "strings": r"""{"content":[{"type":"text","text":"lone \ud800 and \udfff, pair \ud83d\ude00 and 😀, slash \/ and /, \u0041 is A, \u007f \u0000 nul, line \u2028 and @RAW@ sep"}]}""".replace("@RAW@", "\u2028"),
    "order": r"""{"zeta":1,"isError":false,"alpha":{"y":1,"x":2,"10":0,"9":0},"content":[{"text":"text before type","type":"text"}],"_meta":{"example.org/z":1,"example.org/a":2},"content2":[]}""",
    "repeated": r"""{"content":[{"type":"text","text":"repeated"}],"vendor":{"k":1,"k":2,"K":3,"k":1}}""",
    "nulls": r"""{"content":[{"type":"text","text":"nulls","annotations":null,"_meta":null}],"isError":null,"structuredContent":null,"vendor":null}""",
    "spacing": "{ \"content\" :\t[ { \"type\" : \"text\" , \"text\" : \"spacing\" } ] ,  \"n\" : [ 1 ,2, 3 ] }",
    "unknown_content": r"""{"content":[{"type":"hologram","frames":[1.10,2.20],"uri":"quirk://not-a-place"},{"type":"text","text":"after","future":{"deep":[[[[{}]]]]}},{"type":"image","data":"R0lGODlhAQABAAAAACw=","mimeType":"image/gif","_meta":{"example.org/px":1}}]}""",
    "links": r"""{"content":[{"type":"resource_link","uri":"quirk://one","name":"one","icons":[{"src":"quirk://icon"}],"size":9007199254740993,"vendor":true},{"uri":"quirk:opaque:part","name":"opaque","type":"resource_link"},{"type":"resource_link","name":"page","uri":"https://quirky.example.org/page"},{"type":"resource_link","name":"panel","uri":"ui://panel/main.html"},{"type":"text","text":"see quirk://one, which stays as it is in text"}],"structuredContent":{"uri":"quirk://one","resources":[{"uri":"quirk://one"}]}}""",
    "embedded": r"""{"content":[{"type":"resource","resource":{"text":"one","uri":"quirk://one","_meta":{"uri":"quirk://one"},"vendor":0.10},"annotations":{"priority":1.0}},{"type":"resource","resource":{"uri":"QUIRK://Two%20words/?q=%C3%BC#frag","mimeType":"application/octet-stream","blob":"AAECAw=="}},{"resource":{"blob":"","uri":"file:///quirk/etc/hosts"},"type":"resource"}]}""",
    "audio": r"""{"content":[{"type":"audio","data":"UklGRg==","mimeType":"audio/wav","vendor":1},{"type":"text","text":"sound"}]}""",
    "error_result": r"""{"isError":true,"content":[{"type":"text","text":"it failed"}],"_meta":{"example.org/retry":1.50}}""",
    "empty": r"""{"content":[]}""",
    "odd": r"""{}""",
    "deep": '{"content":[],"deep":' + "[" * 100 + "1" + "]" * 100 + "}",
    "large": '{"content":[{"type":"text","text":"' + "Ünïcödé \\u00fc 0123456789 " * 8000 + '"}]}',
    "many": '{"content":[{"type":"text","text":"many"}],"many":[' + ",".join(f"{{\"n\":{n}.{n:03d}0,\"s\":null}}" for n in range(2000)) + "]}",
}

ERRORS = {
    "data": r"""{"code":-31999,"message":"broken \u00e9 beyond repair","data":{"z":1,"a":[1e400,null,1.10],"uri":"quirk://one","nested":{"uri":"quirk://one"},"lone":"\udc00"}}""",
    "order": r"""{"data":{"retryAfter":2.50},"vendor":"kept?","message":"members out of order","code":-32000}""",
    "scalar": r"""{"code":-32603,"message":"data is a string","data":"just \ud83d\ude00 text"}""",
    "null": r"""{"code":-32602,"message":"","data":null}""",
    "bare": r"""{"code":42,"message":"a positive code, no data"}""",
    "large": '{"code":-31998,"message":"large data","data":[' + ",".join(f"{n}.50" for n in range(5000)) + "]}",
}

CONTENTS = {
    "quirk://one": r"""{"contents":[{"text":"one","vendor":{"z":1,"a":2},"uri":"quirk://one","_meta":{"example.org/uri":"quirk://one"}},{"uri":"quirk://one/part","blob":"AAEC","mimeType":null}],"vendor":1.0}""",
    "QUIRK://Two%20words/?q=%C3%BC#frag": r"""{"contents":[{"uri":"QUIRK://Two%20words/?q=%C3%BC#frag","text":"two"}]}""",
    "quirk:opaque:part": r"""{"contents":[{"uri":"quirk:opaque:part","text":""}]}""",
    "file:///quirk/etc/hosts": r"""{"contents":[{"uri":"file:///quirk/etc/hosts","text":"127.0.0.1 localhost\n"}]}""",
    "https://quirky.example.org/page": r"""{"contents":[{"uri":"https://quirky.example.org/page","text":"<p>","mimeType":"text/html"}]}""",
    "ui://panel/main.html": r"""{"contents":[{"uri":"ui://panel/main.html","mimeType":"text/html;profile=mcp-app","text":"<!doctype html>","_meta":{"ui":{"csp":{"connectDomains":["https://quirky.example.org"]}}}}]}""",
    "quirk://escaped/slashes": r"""{"contents":[{"uri":"quirk:\/\/escaped\/slashes","text":"\/"}]}""",
    "quirk://empty": r"""{"contents":[]}""",
}

MESSAGES = {
    "greet": r"""{"messages":[{"role":"user","content":{"type":"text","text":"Hello"},"vendor":1.10},{"content":{"type":"resource_link","uri":"quirk://one","name":"one"},"role":"assistant"}],"description":null,"vendor":{"b":0,"a":0}}""",
    "embed": r"""{"messages":[{"role":"user","content":{"type":"resource","resource":{"uri":"quirk://one","text":"one","future":[]}}},{"role":"user","content":{"type":"image","data":"","mimeType":"image/gif"}}]}""",
}


class Fault(Exception):
    """A JSON-RPC error; its text is the error object."""


def plain_fault(code: int, message: str, data: str | None = None) -> Fault:
    return Fault(f'{{"code":{code},"message":{quote(message)}{"" if data is None else f", {chr(34)}data{chr(34)}:{data}"}}}')


def page(name: str, items: list[str], params: Node | None) -> str:
    """Two items a page; the cursor is an odd string that must come back as it is."""
    cursor = params.get("cursor") if params else None
    start = int(cursor.string().split("=")[1]) if cursor else 0
    rest = f',"nextCursor":"p\\u00e9ge &={start + 2}"' if start + 2 < len(items) else ""
    return f'{{"{name}":[{",".join(items[start:start + 2])}],"vendor":null{rest}}}'


def call(params: Node) -> str:
    name = params.get("name").string()
    arguments = params.get("arguments")
    if name == "echo":
        return echo(params)
    if name == "canned":
        return ANSWERS[arguments.get("which").string()]
    if name == "fail":
        raise Fault(ERRORS[arguments.get("which").string()])
    if any(parse(tool).get("name").string() == name for tool in TOOLS):
        return f'{{"content":[{{"type":"text","text":{quote("called " + name)}}}]}}'
    raise plain_fault(-32602, f"no tool {name}")


def echo(params: Node) -> str:
    """Everything of the params as text, but for the name and the progress token, which a proxy owns."""
    meta = params.get("_meta")
    if meta and meta.get("progressToken"):
        start, end = without(meta, "progressToken")
        meta = parse(splice(meta.text, [(start - meta.start, end - meta.start, "")]))
    others = [f"{key.text}:{item.text}" for key, item in zip(params.keys, params.items) if key.string() not in ("name", "arguments", "_meta")]
    arguments = params.get("arguments")
    lines = [arguments.text if arguments else "(no arguments)", meta.text if meta and meta.keys else "(no _meta)", *others]
    return f'{{"content":[{",".join(f"{{{chr(34)}type{chr(34)}:{chr(34)}text{chr(34)},{chr(34)}text{chr(34)}:{quote(line)}}}" for line in lines)}]}}'


def complete(params: Node) -> str:
    """Says what it was asked: the reference must arrive in the server's own names."""
    ref = params.get("ref")
    asked = ref.get("uri") or ref.get("name")
    context = params.get("context")
    values = [quote(asked.string()), params.get("argument", "value").text, quote(context.text if context else "")]
    return f'{{"completion":{{"total":3.0,"values":[{",".join(values)}],"hasMore":null,"vendor":0.10}},"_meta":{{"example.org/n":10000000000000000000000}}}}'


def initialize(params: Node) -> str:
    asked = params.get("protocolVersion").string()
    chosen = asked if asked in REVISIONS else REVISIONS[-1]
    return (
        f'{{"serverInfo":{{"version":"0","name":"quirky","vendor":null}},"protocolVersion":"{chosen}",'
        '"capabilities":{"tools":{},"resources":{},"prompts":{},"completions":{},"experimental":{"x":{}},"vendor":1}}'
    )


def answer(method: str, params: Node | None) -> str:
    match method:
        case "initialize":
            return initialize(params)
        case "ping":
            return "{}"
        case "tools/list":
            return page("tools", TOOLS, params)
        case "resources/list":
            return page("resources", RESOURCES, params)
        case "resources/templates/list":
            return page("resourceTemplates", TEMPLATES, params)
        case "prompts/list":
            return page("prompts", PROMPTS, params)
        case "tools/call":
            return call(params)
        case "resources/read":
            uri = params.get("uri").string()
            if uri not in CONTENTS:
                raise Fault(f'{{"message":"Resource not found: quirk","data":{{"vendor":1.50,"uri":{params.get("uri").text}}},"code":-32002}}')
            return CONTENTS[uri]
        case "prompts/get":
            name = params.get("name").string()
            if name not in MESSAGES:
                raise plain_fault(-32602, f"no prompt {name}")
            if name == "greet" and not params.get("arguments", "who"):
                raise plain_fault(-32602, "who is missing", '{"missing":["who"],"n":1.0}')
            return MESSAGES[name]
        case "completion/complete":
            return complete(params)
    raise plain_fault(-32601, f"no method {method}")


def envelope(count: int, id_text: str, member: str) -> str:
    """Every legal order and spacing of the members around a result takes its turn."""
    match count % 4:
        case 0:
            return f'{{"jsonrpc":"2.0","id":{id_text},{member}}}\n'
        case 1:
            return f'{{{member},"id":{id_text},"jsonrpc":"2.0"}}\n'
        case 2:
            return f'{{ "id" : {id_text} ,\t{member} , "jsonrpc" : "2.0" }}\r\n'
        case _:
            return f'{{"vendor":{{"id":0,"result":1}},"jsonrpc":"2.0",{member},"id":{id_text}}}\n'


def main() -> None:
    count = 0
    for line in sys.stdin.buffer:
        if not line.strip():
            continue
        message = parse(line.decode("utf-8", "surrogateescape"))
        id_node, method = message.get("id"), message.get("method")
        if id_node is None or method is None:
            continue
        try:
            member = f'"result":{answer(method.string(), message.get("params"))}'
        except Fault as fault:
            member = f'"error":{fault}'
        text = envelope(count, id_node.text, member)
        count += 1
        sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
