"""Record what kubectl makes of words, keys and documents, for test_kubectl.py; not run by the suite.

mkdir recorder && cp record.go recorder/main.go && cd recorder && go mod init recorder
go get sigs.k8s.io/yaml@v1.6.0 go.yaml.in/yaml/v2@v2.4.3 && go build -o recorder .
python -m tests.unit.kubeyaml.record recorder/recorder > tests/unit/kubeyaml/kubectl.json
"""

import itertools
import json
import subprocess
import sys
from typing import Any

LIBRARY = "sigs.k8s.io/yaml v1.6.0 with go.yaml.in/yaml/v2 v2.4.3, as in kubectl v0.36.6 (YAMLToJSON)"
ALPHABET = "0178.-+_exbo~n"
LENGTH = 3
KEYS: list[str] = """
    y Y n N yes no on off On true False null ~ 1 01 0400 0x1F 0b11 0o17 1_000 1.5 1e3 1e5 1e6 1.0 0.1 100000.0 1000000.0
    1234567.0 1e-4 1e-5 3.4e38 1e39 -1.5 .5 .inf -.inf .nan 18446744073709551615 9223372036854775807 -0.0 2026-01-01
    1:30 = 'y' "1" a <x> @ 08 1e400 99999999999999999999
""".split()
WORDS = """
    y Y yes Yes YES yEs n N no No NO true True TRUE tRUE false False FALSE on On ON oN off Off OFF null Null NULL nULL ~
    0400 0644 0755 07_7 0777 08 09 0888 -017 +017 0o17 0O17 -0o17 0o8 0x1F 0X1f -0xff 0x 0xg 0b11 0B11 -0b11 0b2 0b 0b-1
    1_000 1__0 _1 1_ 1_000.5 .5 ._5 .5_0 5. +.5 -.5e3 1e3 1E3 1e+3 1e-3 1e 1e400 -1e400 1e-400 1e5 0e0 0E0 0.0 -0.0 1.0
    1e20 1e21 1.5e300 123456789.125 0.1 .inf .Inf .INF .iNF +.inf -.INF .nan .NaN .NAN inf nan NaN Infinity
    9223372036854775807 9223372036854775808 -9223372036854775808 -9223372036854775809 18446744073709551615
    18446744073709551616 99999999999999999999999 +9223372036854775808 0x8000000000000000 0xFFFFFFFFFFFFFFFF
    0x10000000000000000 1:30 190:20:30 1:30.5 2026-01-01 2001-12-14t21:59:43.10-05:00 12:00:00 1.2.3 v1 1.0.0 0.1.2 10Gi
    500m 1h 80/TCP = << <= - -- +- . .. ... 1-2 1+2 ++1 --1 0-1 00 000 00.5 01.5 0_ 0__ 1e1_0 1_e1 '' "" 'yes' "0400"
    !!str&0400 !!str&yes !!int&"3" !!int&0400 !!int&foo !!int&1.5 !!float&3 !!float&0x10 !!bool&'yes' !!bool&1 !!null&''
    !!null&foo !!timestamp&2001-01-01 !!timestamp&foo !!binary&aGk= !!binary&? !&12 !!str !!int !!merge&<<
""".split()
DOCUMENTS = [
    "",
    "# nothing",
    "~",
    "- a\n- 0400\n- on",
    "[yes, no, 1_0]",
    "0400",
    "yes",
    "a: &x {b: 1}\nc:\n  <<: *x\n  b: 2\n",
    "a: &x {b: 1}\nc:\n  b: 2\n  <<: *x\n",
    "a: &x {b: 1}\nc: &y {b: 2, d: 3}\ne:\n  <<: [*x, *y]\n",
    "<<: {a: 1}\na: 2",
    "e: {<<: [1]}",
    "e: {<<: 1}",
    '"<<": {a: 1}',
    "!!merge <<: {a: 1}",
    "- <<",
    "a: &k yes\nb: *k\n*k : 1",
    "a: &k 1e6\n*k : 1\nb: *k",
    "a: &a [*a]",
    "a: *x",
    "? [a]\n: 1",
    "{a: 1}: 1",
    "? a\n",
    "{a, b: c}",
    "? |\n  k\n: 1",
    "a: |\n  yes\n",
    "a: >-\n  0400\n",
    "a:\n- yes\n-  no\n-\n",
    "a: !!set {x, y}",
    "a: !!omap [x: 1]",
    "a: !!seq {b: 1}",
    "a: !!str {b: 1}",
    "a: &a !!str\nb: *a",
    "a: &a\nb: *a",
    "a: b: c",
    "a: [1,2,]",
    "a: \t1",
    "\ta: 1",
    "a: @b",
    "a: `b",
    "a: %b",
    "a: b #c",
    "a: b#c",
    "a: 'it''s'",
    'a: "\\x41"',
    "null: 1",
    "~: 1",
    ": 1",
    "'': 1",
    "%YAML 1.1\n---\na: 0400\n",
    "a: 1 2",
    "{a: yes}",
    "a: {b: {c: [on, {d: off}]}}",
    "a: ü€😀",
    "\ufeffa: 1",
    "a: x\x85 y",
    "a: x\x07",
]


def verdicts(recorder: str, documents: list[str]) -> list[Any]:
    """Of each document its JSON as a list of one, None for a refusal."""
    given = json.dumps(documents)
    answer = subprocess.run([recorder], input=given, capture_output=True, text=True, check=True)  # noqa: S603
    return [[json.loads(each["json"])] if "json" in each else None for each in json.loads(answer.stdout)]


def main(recorder: str) -> None:
    """Print the fixture."""
    short = ["".join(each) for size in range(1, LENGTH + 1) for each in itertools.product(ALPHABET, repeat=size)]
    short = [each for each in short if each != "-"]
    found = dict(zip(short, verdicts(recorder, [f"a: {each}" for each in short]), strict=True))
    words = [each.replace("&", " ") for each in WORDS]
    fixture = {
        "library": LIBRARY,
        "keys": dict(zip(KEYS, verdicts(recorder, [f"{each}: 1" for each in KEYS]), strict=True)),
        "words": dict(zip(words, verdicts(recorder, [f"a: {each}" for each in words]), strict=True)),
        "documents": list(zip(DOCUMENTS, verdicts(recorder, DOCUMENTS), strict=True)),
        "alphabet": ALPHABET,
        "length": LENGTH,
        "not text": {each: message and message[0]["a"] for each, message in found.items() if message != [{"a": each}]},
    }
    lines = [f"{json.dumps(name)}: {_lines(value)}" for name, value in fixture.items()]
    print("{\n" + ",\n".join(lines) + "\n}")  # noqa: T201


def _lines(value: Any) -> str:
    if isinstance(value, dict) and len(value) < 500:
        return "{\n" + ",\n".join(f"  {json.dumps(key)}: {json.dumps(each)}" for key, each in value.items()) + "\n}"
    if isinstance(value, list):
        return "[\n" + ",\n".join(f"  {json.dumps(each)}" for each in value) + "\n]"
    return json.dumps(value)


if __name__ == "__main__":
    main(sys.argv[1])
