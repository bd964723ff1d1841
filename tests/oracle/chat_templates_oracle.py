# SPDX-License-Identifier: Apache-2.0
"""Writes tests/data/chat_templates/cases.jsonl: templates, and what Python's jinja2 makes of them in the environment that
Hugging Face transformers renders chat templates in.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install jinja2==3.1.6
    /tmp/venv/bin/python tests/oracle/chat_templates_oracle.py [--out FILE]

Output is the same on every run. A line has `template`, `messages` and perhaps `tools` and `variables`; and either `text`
or `fails` (jinja2 raises).
"""

import argparse
import json
import pathlib
import random
import sys
import warnings

try:
    import jinja2
except ImportError:
    print("SKIP: no jinja2 in this Python")
    sys.exit(77)
if "--check" in sys.argv and (jinja2.__version__ != "3.1.6" or sys.version_info < (3, 10)):
    print(f"SKIP: the fixtures are those of jinja2 3.1.6, this is {jinja2.__version__}")
    sys.exit(77)

from jinja2 import nodes
from jinja2.exceptions import TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment


class Generation(Extension):
    """{% generation %}: its inside, as where no mask is asked for."""
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.Scope(body).set_lineno(line)


warnings.simplefilter("ignore", SyntaxWarning)  # of what templates compile to


def raise_exception(message):
    raise TemplateError(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


# Not optimized: folding constants makes 5[1:] undefined, which fails where 5 is the value of a variable.
ENVIRONMENT = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols],
                                            optimized=False)
ENVIRONMENT.filters["tojson"] = tojson
ENVIRONMENT.globals["raise_exception"] = raise_exception

CHAT = [{"role": "system", "content": "Be brief."},
        {"role": "user", "content": " Was heißt „Fluß“ auf Englisch?\n"},
        {"role": "assistant", "content": "\"river\"\u00a0"},
        {"role": "user", "content": "And <b>'bridge'</b>?"}]
TOOLS = [{"type": "function", "function": {"name": "weather", "description": "Tells the \"weather\".", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer", "default": 3, "x": 0.5}},
    "required": ["city"], "strict": True, "extra": None}, "return": "str"}}]
CALLS = [{"role": "user", "content": "Weather in Köln?"},
         {"role": "assistant", "content": None, "tool_calls": [
             {"id": "call00001", "type": "function", "function": {"name": "weather", "arguments": {"city": "Köln", "days": 2}}}]},
         {"role": "tool", "tool_call_id": "call00001", "content": "rain"},
         {"role": "assistant", "content": "Rain."}]
PARTS = [{"role": "user", "content": [{"type": "text", "text": "one "}, {"type": "text", "text": "two"}]}]

# The forms in which chat templates of Mamba, Falcon-Mamba, Codestral-Mamba and their relatives are written.
CHATML = ("{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
          "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")
CHATML_DEFAULT_SYSTEM = """{% for message in messages %}
{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\nYou help.<|im_end|>\\n' }}{% endif %}
    {{- '<|im_start|>' ~ message.role ~ '\\n' }}
    {%- if message.role == 'assistant' %}{% generation %}{{ message.content | trim }}{% endgeneration %}
    {%- else %}{{ message.content|trim }}{% endif %}
    {{- '<|im_end|>\\n' -}}
{% endfor %}
{% if add_generation_prompt %}
    {{ '<|im_start|>assistant\\n' }}
{% endif %}
"""
ZEPHYR = """{% for message in messages %}
{% if message['role'] == 'user' %}
{{ '<|user|>
' + message['content'] + eos_token }}
{% elif message['role'] == 'system' %}
{{ '<|system|>
' + message['content'] + eos_token }}
{% elif message['role'] == 'assistant' %}
{{ '<|assistant|>
'  + message['content'] + eos_token }}
{% endif %}
{% if loop.last and add_generation_prompt %}
{{ '<|assistant|>' }}
{% endif %}
{% endfor %}"""
INST = ("{% if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}{% set system = messages[0]['content'] %}{% else %}"
        "{% set rest = messages %}{% set system = false %}{% endif %}{% for message in rest %}"
        "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}"
        "{% if loop.index0 == 0 and system != false %}{% set content = '<<SYS>>\\n' + system + '\\n<</SYS>>\\n\\n' + message['content'] %}"
        "{% else %}{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}"
        "{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% elif message['role'] == 'assistant' %}"
        "{{ ' '  + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}")
INST_TOOLS = """{%- if messages[0]["role"] == "system" %}
    {%- set system_text = messages[0]["content"] %}
    {%- set turns = messages[1:] %}
{%- else %}
    {%- set turns = messages %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}
{%- set asked = turns | selectattr("role", "equalto", "user") | list %}

{#- Tool calls and their results do not count
    for the order of roles. #}
{%- set ns = namespace() %}
{%- set ns.index = 0 %}
{%- for m in turns %}
    {%- if not (m.role == "tool" or m.role == "tool_results" or (m.tool_calls is defined and m.tool_calls is not none)) %}
        {%- if (m["role"] == "user") != (ns.index % 2 == 0) %}
            {{- raise_exception("user and assistant must alternate") }}
        {%- endif %}
        {%- set ns.index = ns.index + 1 %}
    {%- endif %}
{%- endfor %}

{{- bos_token }}
{%- for m in turns %}
    {%- if m["role"] == "user" %}
        {%- if tools is not none and (m == asked[-1]) %}
            {{- "[AVAILABLE_TOOLS] [" }}
            {%- for tool in tools %}
                {%- set tool = tool.function %}
                {{- '{"type": "function", "function": {' }}
                {%- for key, val in tool.items() if key != "return" %}
                    {%- if val is string %}
                        {{- '"' + key + '": "' + val + '"' }}
                    {%- else %}
                        {{- '"' + key + '": ' + val|tojson }}
                    {%- endif %}
                    {%- if not loop.last %}
                        {{- ", " }}
                    {%- endif %}
                {%- endfor %}
                {{- "}}" }}
                {%- if not loop.last %}
                    {{- ", " }}
                {%- else %}
                    {{- "]" }}
                {%- endif %}
            {%- endfor %}
            {{- "[/AVAILABLE_TOOLS]" }}
            {%- endif %}
        {%- if loop.last and system_text is defined %}
            {{- "[INST] " + system_text + "\\n\\n" + m["content"] + "[/INST]" }}
        {%- else %}
            {{- "[INST] " + m["content"] + "[/INST]" }}
        {%- endif %}
    {%- elif m.tool_calls is defined and m.tool_calls is not none %}
        {{- "[TOOL_CALLS] [" }}
        {%- for tool_call in m.tool_calls %}
            {%- set out = tool_call.function|tojson %}
            {{- out[:-1] }}
            {%- if not tool_call.id is defined or tool_call.id|length != 9 %}
                {{- raise_exception("an id has 9 characters") }}
            {%- endif %}
            {{- ', "id": "' + tool_call.id + '"}' }}
            {%- if not loop.last %}
                {{- ", " }}
            {%- else %}
                {{- "]" + eos_token }}
            {%- endif %}
        {%- endfor %}
    {%- elif m["role"] == "assistant" %}
        {{- " " + m["content"]|trim + eos_token}}
    {%- elif m["role"] == "tool_results" or m["role"] == "tool" %}
        {%- if m.content is defined and m.content.content is defined %}
            {%- set content = m.content.content %}
        {%- else %}
            {%- set content = m.content %}
        {%- endif %}
        {{- '[TOOL_RESULTS] {"content": ' + content|string + ", " }}
        {{- '"call_id": "' + m.tool_call_id + '"}[/TOOL_RESULTS]' }}
    {%- else %}
        {{- raise_exception("unknown role") }}
    {%- endif %}
{%- endfor %}
"""
THINK = """{%- set ns = namespace(seen=false, text='') -%}
{%- for m in messages -%}
  {%- if m.content is string -%}{%- set ns.text = m.content -%}
  {%- elif m.content is iterable -%}
    {%- set ns.text = '' -%}
    {%- for part in m.content -%}{%- if part.type == 'text' -%}{%- set ns.text = ns.text + part['text'] -%}{%- endif -%}{%- endfor -%}
  {%- else -%}{%- set ns.text = '' -%}{%- endif -%}
  {%- if m.role == 'assistant' and '</think>' in ns.text -%}{%- set ns.text = ns.text.split('</think>')[-1].lstrip('\\n') -%}{%- endif -%}
  {%- if not ns.seen and m.role == 'user' -%}{%- set ns.seen = true -%}<first>{%- endif -%}
  {{ '<' ~ m.role | upper ~ '>' ~ ns.text ~ '</' ~ m.role | capitalize ~ '>' }}
{% endfor -%}
{% if tools %}{{ tools | tojson(indent=2) }}{% endif %}
{%- if enable_thinking is defined and enable_thinking is false %}<think></think>{% endif %}
"""

CHATS = [(CHATML, CHAT), (CHATML_DEFAULT_SYSTEM, CHAT), (CHATML_DEFAULT_SYSTEM, CHAT[1:]), (ZEPHYR, CHAT), (INST, CHAT), (INST, CHAT[1:]),
         (INST, CHAT[2:]), (INST_TOOLS, CHAT), (INST_TOOLS, CHAT[1:]), (INST_TOOLS, CHAT[2:]), (INST_TOOLS, CALLS),
         (THINK, CHAT), (THINK, CALLS), (THINK, PARTS), (CHATML, CALLS), (CHATML, []), (INST, [])]

# One statement or expression each; `messages` is CHAT.
PIECES = r"""
{{ 1 + 2 * 3 - 4 }} {{ (1 + 2) * 3 }} {{ 7 / 2 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ 7.5 % 2 }} {{ 2 - -3 }}
{{ 1e16 }} {{ 1.5e-7 }} {{ 0.1 + 0.2 }} {{ 100.0 }} {{ 123456789.125 }} {{ 1e22 * 10 }} {{ 5 * 1.0 }} {{ 0.0001 }} {{ 0.00001 }}
{{ true }} {{ True + 1 }} {{ none }} {{ None is none }} {{ 1 == 1.0 }} {{ true == 1 }} {{ "a" == 'a' }} {{ [1, 2] == [1, 2] }} {{ (1, 2) == [1, 2] }}
{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ "a" < "b" }} {{ "ä" > "z" }} {{ [1, 2] < [1, 3] }} {{ 1 != 2 }} {{ 3 >= 3 <= 3 }}
{{ not true }} {{ not none and 5 }} {{ 0 or "x" }} {{ "" and 1 }} {{ 1 and 2 or 3 }} {{ not 1 == 2 }}
{{ "a" in "cab" }} {{ "x" not in "cab" }} {{ 2 in [1, 2] }} {{ "role" in messages[0] }} {{ 5 not in (1, 2) }} {{ nothing in [1] }}
{{ "a" if true else "b" }} {{ "a" if false }} {{ 1 if 0 else 2 if 0 else 3 }} {{ ("x" if nothing else "y") ~ "z" }}
{{ [1, "two", 3.0, none, true, {"k": [1]}] }} {{ {"a": 1, "b": "it's", "a": 3} }} {{ (1,) }} {{ () }} {{ "it's \"q\"" }} {{ ["it's", 'say "x"', "both ' and \""] }}
{{ ["\n\t\\", "é", "\x7f", "\u200b", "\x00", "\U0001F600", "\ue000"] }}
{{ "\x41\u00e9\t|\101|\q|\'" }} {{ 'a' "b" 'c' }} {{ "a\
b" }}
{{ [1, 2, 3][0] }} {{ [1, 2, 3][-1] }} {{ [1, 2, 3][5] }}| {{ "häß"[1] }} {{ "abc"[-1] }} {{ "abc"[9] }}| {{ messages[0]["role"] }} {{ messages[0].role }} {{ messages.0.role }}
{{ [1, 2, 3, 4][1:] }} {{ [1, 2, 3, 4][:-1] }} {{ [1, 2, 3, 4][::2] }} {{ [1, 2, 3, 4][::-1] }} {{ "häuser"[1:3] }} {{ "abc"[::-1] }} {{ [1, 2][5:] }} {{ (1, 2, 3)[1:] }} {{ "abc"[-2:][:1] }}
{{ [1, 2, 3][9223372036854775807:] }} {{ [1, 2, 3][-9223372036854775807:] }} {{ "abc"[::9223372036854775807] }}
{{ "ab" * 3 }} {{ 2 * [1] }} {{ [1] + [2] }} {{ "a" ~ 1 ~ none ~ nothing ~ 1.5 }} {{ "x" + "y" }}
{{ nothing }}| {{ nothing is defined }} {{ nothing is undefined }} {{ messages is defined }} {{ nothing|default("d") }} {{ ""|default("d") }}| {{ ""|default("d", true) }} {{ none|d("x", boolean=true) }} {{ nothing == nothing2 }}
{{ nothing|length }} {{ nothing|list }} {{ nothing|join(",") }}| {{ nothing|upper }}| {{ nothing is string }} {{ nothing is iterable }} {{ nothing is mapping }}
{{ nothing.foo }}
{{ nothing["foo"] }}
{{ nothing + 1 }}
{{ none.foo }}| {{ none["x"] }}| {{ 5.foo }}
{{ messages[0].nope }}| {{ messages[0]["nope"] }}| {{ messages[0].nope is defined }}
{{ messages[0].nope.deeper }}
{{ "a" + 1 }}
{{ 1 + none }}
{{ "a" < 1 }}
{{ 1 / 0 }}
{{ 1 % 0 }}
{{ 5 in 6 }}
{{ 1 in "abc" }}
{{ none|length }}
{{ "  x y \n"|trim }}| {{ "xxhixx"|trim("x") }} {{ " \u3000a\u00a0 ".strip() }}| {{ "  a ".lstrip() }}| {{ "  a ".rstrip() }}| {{ "abcab".strip("ab") }} {{ "x\n\n".rstrip("\n") }}|
{{ "hÉllo wörld"|upper }} {{ "HÉLLO"|lower }} {{ "hELLO wORLD"|capitalize }} {{ "hello wORLD-x (y it's"|title }} {{ "hello wORLD it's 3a".title() }} {{ "äb".upper() }} {{ "ÄB".lower() }} {{ "eSSen".capitalize() }} {{ "straße"|upper }}
{{ "abc"|length }} {{ "häß"|length }} {{ [1, 2]|count }} {{ {"a": 1}|length }}
{{ [1, 2, 3]|first }} {{ [1, 2, 3]|last }} {{ []|first }}| {{ "abc"|first }} {{ [3, 1]|reverse|list }} {{ "abc"|reverse }}
{{ [1, "a", none]|join("-") }} {{ messages|join(", ", attribute="role") }} {{ ", ".join(["a", "b"]) }} {{ "abc"|join("-") }}
{{ ", ".join([1]) }}
{{ "a-b-c"|replace("-", "+") }} {{ "a-b-c".replace("-", "", 1) }} {{ "aaa".replace("a", "b", 2) }} {{ 15|replace(5, "x") }} {{ "aaa"|replace("a", "bb", 2) }}
{{ "a,b,c".split(",") }} {{ "a b  c ".split() }} {{ "a,b,c".split(",", 1) }} {{ " a b c ".split(none, 1) }} {{ "abc".split("x") }} {{ ",".split(",") }} {{ "".split() }} {{ "".split(",") }} {{ "a\nb\r\nc".splitlines() }} {{ "a\n".splitlines(true) }} {{ "a</think>b".split("</think>")[-1] }}
{{ "a".split("") }}
{{ "abc".startswith("ab") }} {{ "abc".endswith("bc") }} {{ "abc".startswith(("x", "a")) }} {{ "abc".find("c") }} {{ "äbc".find("c") }} {{ "abc".find("x") }} {{ "banana".count("an") }} {{ "abc".removeprefix("a") }} {{ "abc".removesuffix("c") }} {{ "abc".removesuffix("x") }}
{{ {"a": 1}.items() | list }} {{ {"a": 1, "b": 2}.keys() | list }} {{ {"a": 1}.values() | list }} {{ {"a": 1}.get("a") }} {{ {"a": 1}.get("b") }} {{ {"a": 1}.get("b", 7) }} {{ {"a": 1}|items|list }} {{ {"a": 1}|list }} {{ [5, 6].index(6) }} {{ [1, 2, 1].index(1) }}
{{ [5, 6].index(7) }}
{{ messages|map(attribute="role")|list }} {{ ["a", "b"]|map("upper")|list }} {{ [" x "]|map("trim")|join }} {{ messages|map(attribute="nope", default="-")|join }} {{ [["a", 1]]|map(attribute=1)|list if false else "" }} {{ [{"a": {"b": 5}}]|map(attribute="a.b")|list }}
{{ messages|selectattr("role", "equalto", "user")|list|length }} {{ messages|rejectattr("role", "eq", "user")|map(attribute="role")|list }} {{ [0, 1, "", "a"]|select|list }} {{ [1, 2, 3, 4]|select("even")|list }} {{ [1, 2, 3]|reject("odd")|list }} {{ [1, 2, 3]|select("gt", 1)|list }} {{ messages|selectattr("nope")|list }} {{ messages|selectattr("role", "in", ["user", "system"])|list|length }}
{{ {"a": [1, 2.5, none, true, "ä\"\n\u0001\u007f"]}|tojson }} {{ {}|tojson }} {{ []|tojson }} {{ "</script>&'"|tojson }} {{ messages[0]|tojson }}
{{ {"a": [1, {"b": []}], "c": {}}|tojson(indent=2) }} {{ [1, 2]|tojson(indent=0) }} {{ [1]|tojson(indent=none) }}
{{ nothing|tojson }}
{{ "3"|int }} {{ " 42 "|int + 1 }} {{ "x"|int }} {{ "x"|int(5) }} {{ 3.9|int }} {{ -3.9|int }} {{ "3.7"|int }} {{ true|int }} {{ "2.5"|float }} {{ 3|float }} {{ "x"|float }} {{ -5|abs }} {{ -2.5|abs }} {{ none|int }} {{ "+7"|int }}
{{ 3|string + "x" }} {{ none|string }} {{ [1]|string }} {{ 1.0|string }}
{{ "a\nb\n\nc"|indent }} {{ "a\nb"|indent(2, true) }} {{ "a\n\nb"|indent(1, blank=true) }} {{ "a\nb"|indent("> ") }} {{ "a\n"|indent }}|
{{ 4 is even }} {{ 3 is odd }} {{ 9 is divisibleby 3 }} {{ 9 is divisibleby(4) }} {{ "a" is string }} {{ 1 is number }} {{ 1.0 is float }} {{ true is boolean }} {{ true is integer }} {{ true is number }} {{ [] is sequence }} {{ {} is mapping }} {{ "" is iterable }} {{ 1 is iterable }} {{ none is none }} {{ 1 is not none }} {{ true is true }} {{ 1 is true }} {{ 0 is false }} {{ false is false }} {{ 2 is eq 2 }} {{ 2 is ne(3) }} {{ 2 is gt 1 }} {{ 2 is le 1 }} {{ 2 is in [1, 2] }} {{ 2 is not in [1] }} {{ "abc" is lower }} {{ "ABC" is upper }} {{ "1" is upper }} {{ 2 is equalto 2.0 }} {{ {} is sequence }} {{ range is defined }} {{ 4.0 is even }}
{{ range(3)|list }} {{ range(1, 4)|list }} {{ range(5, 0, -2)|list }} {{ range(0)|list }}
{{ dict(a=1, b="x") }} {{ dict({"a": 1}, a=2) }}
{% for i in range(3) %}{{ i }}{% if not loop.last %}, {% endif %}{% endfor %}
{% for m in messages %}{{ loop.index }}/{{ loop.length }} {{ loop.index0 }} {{ loop.revindex }} {{ loop.revindex0 }} {{ loop.first }} {{ loop.last }} {{ loop.cycle("a", "b") }} {{ loop.previtem.role if loop.previtem is defined }} {{ loop.nextitem.role if not loop.last }};{% endfor %}
{% for m in messages if m.role == "user" %}{{ loop.index }} of {{ loop.length }}:{{ m.role }} {% else %}none{% endfor %}
{% for m in messages if m.role == "x" %}{{ m }}{% else %}nobody{% endfor %}
{% for k, v in {"a": 1, "b": 2}.items() %}{{ k }}={{ v }};{% endfor %}{% for k in {"a": 1} %}{{ k }}{% endfor %}{% for c in "hé" %}{{ c }}.{% endfor %}
{% for a, b in [(1, 2), [3, 4]] %}{{ a + b }} {% endfor %}
{% for a, b in [(1, 2, 3)] %}{{ a }}{% endfor %}
{% for x in none %}{{ x }}{% endfor %}
{% for x in nothing %}{{ x }}{% else %}empty{% endfor %}
{% for i in range(5) %}{% if i == 3 %}{% break %}{% endif %}{% if i == 1 %}{% continue %}{% endif %}{{ i }}{% endfor %}
{% set x = 1 %}{% for i in range(2) %}{% set x = x + 5 %}{{ x }} {% endfor %}{{ x }}
{% set ns = namespace(x=1) %}{% for i in range(3) %}{% set ns.x = ns.x * 2 %}{% endfor %}{{ ns.x }} {{ ns.nope is defined }}
{% set a, b = 1, 2 %}{{ a }}{{ b }} {% set t = 1, 2 %}{{ t }} {% set s = "x" if false else "y" %}{{ s }}
{% set block %}a {{ 1 + 1 }}
b{% endset %}{{ block|upper }}|
{% if false %}a{% elif nothing %}b{% elif 1 %}c{% else %}d{% endif %} {% if [] %}x{% else %}y{% endif %}
{% if true %}{% set inside = 5 %}{% endif %}{{ inside }}
{% for i in [1] %}{% set leaks = 1 %}{% endfor %}{{ leaks is defined }} {{ i is defined }} {{ loop is defined }}
{% for i in [1, 2] %}{% for j in [1, 2] %}{{ loop.index }}{{ i }}{{ j }} {% endfor %}{{ loop.index }};{% endfor %}
{# a comment {{ 1 }} #}x{#- another -#} y
{% raw %}{{ not this }} {% nor this %}{% endraw %}|{%- raw -%} a {%- endraw -%} |
{{ raise_exception("no " + "way") }}
{{ "a" "b" | upper }} {{ -1 | abs }} {{ (1 + 2) | string ~ "x" }} {{ 1 + "2" | int }} {{ "a" ~ "b" | upper }} {{ not "x" is string }} {{ "x" is string and 1 is number }}
{{ {"a": {"b": [1, {"c": "deep"}]}}.a.b[1].c }} {{ {"a b": 1}["a b"] }} {{ [[1, 2], [3]][0][1] }}
{{ 9223372036854775807 }} {{ -9223372036854775807 - 1 }} {{ 1.7976931348623157e308 }} {{ 5e-324 }} {{ 1e308 * 10 }} {{ -1e308 * 10 }}
{%- set parts = [] -%}{{ parts }} {{ parts is none }} {%- set parts = parts + ["x"] %} {{ parts[0] }}
{{ bos_token }}{{ eos_token }}{{ unk_token is defined }} {{ tools is none }} {{ documents is none }} {{ add_generation_prompt }}
{{ 1, 2 }} {{ (1, "a"), }}
{{ [1, 2,] }} {{ {"a": 1,} }} {{ 'tab	in string' }}
{{ "%" }} {{ "{{" }} {{ "}}" }} {{ {"a": {"b": 1}} }} {{ "#}" }}
{{- " x " -}}   y   {{+ 1 }}
{{ "x" if messages and messages[0].role == "system" and not tools else "y" }}
{% generation %}inside{% endgeneration %} after
{% if messages[-1]["role"] != "assistant" and messages|length > 2 %}yes{% endif %}
{{ (messages|last).role }} {{ (messages|first)["content"][:2] }} {{ messages[1:]|map(attribute="role")|join("/") }} {{ (messages[1:] | length) - 1 }}
""".strip("\n")

BROKEN = ["{% if x %}", "{% endif %}", "{{ 1 +", "{{ }}", "{% for x %}{% endfor %}", "{{ 'abc }}", "{# no end", "{{ (1 }}", "{{ 1) }}",
          "{% set 5 = 1 %}", "{% else %}", "{{ a b }}", "{% nonsense %}", "{{ x|nonsense }}", "{{ x is nonsense }}", "{{ ! }}", "{{ 1 ? 2 }}",
          "{% for loop in [1] %}{% endfor %}", "{% break %}", "{{ [1, 2 }}", "{{ {'a' 1} }}", "{{ x. }}", "{{ x[] }}", "{% if %}{% endif %}",
          "{% endfor %}", "{% set x %}", "{{ f(a=1, 2) }}"]

SPACE_BITS = ["{% if 1 %}", "{%- if 1 %}", "{% if 1 -%}", "{%+ if 1 %}", "{% if 1 +%}", "{%- if 1 -%}"]
SPACE_ENDS = ["{% endif %}", "{%- endif %}", "{% endif -%}", "{%+ endif %}", "{% endif +%}", "{%- endif -%}"]
SPACE_MORE = ["{{ 1 }}", "{{- 1 }}", "{{ 1 -}}", "{# c #}", "{#- c #}", "{# c -#}", "{% set z = 1 %}", "{%+ set z = 1 +%}",
              "{% raw %} r {% endraw %}", "{%- raw -%}\n r\n {%- endraw -%}", "  {% raw %}\n{% endraw %}"]
SPACES = ["", " ", "  ", "\n", "\n\n", " \n", "\n ", "  \n  ", "\t", "x", "x ", " x", "x\n", "\nx", "\r\n", "\r", "\u00a0", "\x0b"]


def spaced(rng):
    out, depth = [], 0
    for _ in range(rng.randrange(3, 10)):
        out.append(rng.choice(SPACES))
        kind = rng.randrange(4)
        if kind == 0:
            out.append(rng.choice(SPACE_BITS))
            depth += 1
        elif kind == 1 and depth:
            out.append(rng.choice(SPACE_ENDS))
            depth -= 1
        else:
            out.append(rng.choice(SPACE_MORE))
        out.append(rng.choice(SPACES))
    out.extend(rng.choice(SPACE_ENDS) + rng.choice(SPACES) for _ in range(depth))
    return "".join(out)


ATOMS = ["1", "0", "-2", "2.5", "'a'", "'Bc d'", "''", "none", "true", "false", "nothing", "[1, 2]", "[]", "('x', 3)", "{'k': 'v'}", "messages",
         "messages[0]", "messages[-1].role", "messages[0].content", "'é\\n'", "10"]
FILTERS = ["length", "upper", "trim", "string", "list", "first", "last", "default('z')", "default('z', true)", "join('+')", "tojson", "int", "reverse|list",
           "capitalize", "title", "abs", "float", "replace('a', 'b')", "lower", "items|list", "select|list", "map('string')|list"]
TESTS = ["defined", "string", "number", "mapping", "sequence", "iterable", "none", "true", "boolean", "integer", "float", "odd", "even", "in [1, 'a']",
         "eq 1", "undefined", "lower", "divisibleby 2", "callable"]
OPERATORS = ["+", "-", "*", "/", "//", "%", "~", "==", "!=", "<", ">", "<=", ">=", "and", "or", "in", "not in"]


def expression(rng, depth):
    kind = rng.randrange(9) if depth > 0 else 0
    inner = lambda: expression(rng, depth - 1)
    if kind <= 1:
        return rng.choice(ATOMS)
    if kind <= 3:
        return f"{inner()} {rng.choice(OPERATORS)} {inner()}"
    if kind == 4:
        return f"({inner()})"
    if kind == 5:
        return f"({inner()})|{rng.choice(FILTERS)}"
    if kind == 6:
        return f"{inner()} is {rng.choice(['', 'not '])}{rng.choice(TESTS)}"
    if kind == 7:
        return f"({inner()} if {inner()} else {inner()})"
    return f"({inner()})[{rng.choice(['0', '-1', ':1', '1:', '::-1', repr('k')])}]"


# Where this program refuses what jinja2 does in a way that no chat template means.
LEFT_OUT = ["<generator", "<bound method", "<built-in", "dict_items", "<reversed", "<filter", "range(", "<undefined", "<function"]


def render(template, messages, tools=None, **variables):
    try:
        text = ENVIRONMENT.from_string(template).render(messages=messages, tools=tools, documents=None, bos_token="<s>", eos_token="</s>",
                                                        **{"add_generation_prompt": True, **variables})
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError, SyntaxError):
        return None
    return text


def cases():
    for template, messages in CHATS:
        for tools in (None, TOOLS):
            for variables in ({}, {"add_generation_prompt": False, "enable_thinking": False}):
                yield template, messages, tools, variables
    for line in PIECES.replace("\\\nb\"", "\x00").split("\n"):
        yield line.replace("\x00", "\\\nb\""), CHAT, None, {}
    for template in BROKEN:
        yield template, CHAT, None, {}
    rng = random.Random(20261124)
    for _ in range(400):
        yield spaced(rng), [], None, {}
    for _ in range(1200):
        # Through a variable: what is printed directly is folded even so.
        yield "{% set x = " + expression(rng, 3) + " %}{{ x }}", CHAT, None, {}


def lines():
    for template, messages, tools, variables in cases():
        text = render(template, messages, tools, **variables)
        if text is not None and any(word in text for word in LEFT_OUT):
            continue
        line = {"template": template}
        line |= {} if messages is CHAT else {"messages": messages}
        line |= {"tools": tools} if tools else {}
        line |= {"variables": variables} if variables else {}
        line |= {"fails": True} if text is None else {"text": text}
        yield json.dumps(line, ensure_ascii=False)
    yield json.dumps({"chat": CHAT}, ensure_ascii=False)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent.parent / "data/chat_templates/cases.jsonl")
    parser.add_argument("--check", action="store_true", help="write nothing: fail where the file is not what would be written")
    options = parser.parse_args()
    text = "".join(line + "\n" for line in lines())
    if not options.check:
        options.out.write_text(text, encoding="utf-8")
    elif options.out.read_text(encoding="utf-8") != text:
        sys.exit(f"error: {options.out} is not what jinja2 makes of the templates; write it again")


if __name__ == "__main__":
    main()
