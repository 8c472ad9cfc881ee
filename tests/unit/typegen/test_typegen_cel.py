"""CEL's tokens as the language defines them: what is text, a comment or a name is never taken for anything else."""

import time

import pytest

from typegen import cel, rules
from typegen.defaults import Default, Stripped


def texts(expression: str) -> list[str]:
    return [token.text for token in cel.tokens(expression)]


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        ("self.a=='b'", ["self", ".", "a", "==", "'b'"]),
        ("a // it's a\n.b", ["a", ".", "b"]),
        ("a // to the end", ["a"]),
        ("'// no comment' + \"'\" + '\"'", ["'// no comment'", "+", "\"'\"", "+", "'\"'"]),
        (r"'it\'s' + 'b\\'", [r"'it\'s'", "+", r"'b\\'"]),
        (r"r'\' + R'\d' + r'''a'b\'''", [r"r'\'", "+", r"R'\d'", "+", r"r'''a'b\'''"]),
        ("'''it's\ntwo lines''' + \"\"\"a \"b\" c\"\"\"", ["'''it's\ntwo lines'''", "+", '"""a "b" c"""']),
        (r"'''a\'''b'''", [r"'''a\'''b'''"]),
        ("b'x' + B\"y\" + br'\\' + bR'z'", ["b'x'", "+", 'B"y"', "+", "br'\\'", "+", "bR'z'"]),
        ("'' + \"\" + ''''''", ["''", "+", '""', "+", "''''''"]),
        ("self.`it-is`.x", ["self", ".", "`it-is`", ".", "x"]),
        ("-1 + 0xFF + 1u + 0x1U", ["-", "1", "+", "0xFF", "+", "1u", "+", "0x1U"]),
        ("1.5 + 1e3 + .5 + 1.5E-3", ["1.5", "+", "1e3", "+", ".5", "+", "1.5E-3"]),
        ("a[0].b", ["a", "[", "0", "]", ".", "b"]),
        ("a.?b[?0]", ["a", ".", "?", "b", "[", "?", "0", "]"]),
        ("!a&&b||c?d:e", ["!", "a", "&&", "b", "||", "c", "?", "d", ":", "e"]),
        ("a<=b>=c!=d<e>f", ["a", "<=", "b", ">=", "c", "!=", "d", "<", "e", ">", "f"]),
        ("f%g/h*i", ["f", "%", "g", "/", "h", "*", "i"]),
        ("{'k': [1, 2]}", ["{", "'k'", ":", "[", "1", ",", "2", "]", "}"]),
        ("true in null", ["true", "in", "null"]),
        ("ar'x'", ["ar", "'x'"]),
        (" \t\r\n\f", []),
    ],
)  # fmt: skip
def test_tokens(expression: str, wanted: list[str]) -> None:
    assert texts(expression) == wanted


@pytest.mark.parametrize(
    "text", ["'open", '"open', "'''open''", "'two\nlines'", "a & b", "a = b", "`a;b`", "a # b", "\\", "ü"]
)
def test_what_is_no_cel(text: str) -> None:
    with pytest.raises(cel.Unreadable):
        cel.tokens(text)


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        ("self.mode == 'a' // it's a", [("self", "mode")]),
        ("'self.mode' == x && oldSelf", [("oldSelf", "")]),
        ("a.self == self[0]", [("self", "")]),
        ("a.?self || self.?b.hasValue()", [("self", "b")]),
        ("/self", [("self", "")]),
    ],
)
def test_the_object_itself(expression: str, wanted: list[tuple[str, str]]) -> None:
    assert [(each.name, each.field) for each in cel.roots(expression)] == wanted


MODE: Stripped = {("mode",): Default("a", "string")}


@pytest.mark.parametrize(
    ("rule", "wanted"),
    [
        pytest.param(
            "self.mode == 'a' || has(self.n) // it's a",
            """(has(self.mode) ? self.mode : "a") == 'a' || has(self.n) // it's a""",
            id="apostrophe-in-a-comment",
        ),
        pytest.param(
            "// don't\nself.mode == 'a'", """// don't\n(has(self.mode) ? self.mode : "a") == 'a'""", id="before"
        ),
        pytest.param(
            "self // the \"mode\n.mode == r'\\'",
            '(has(self // the "mode\n.mode) ? self // the "mode\n.mode : "a") == r\'\\\'',
            id="inside",
        ),
        pytest.param("has( // is it (\nself.mode ) || 'x)' == ''", "true || 'x)' == ''", id="has"),
        pytest.param("'''self.mode's''' != ''", "'''self.mode's''' != ''", id="in-a-long-text"),
        pytest.param("self.`mode` == 'b'", """(has(self.`mode`) ? self.`mode` : "a") == 'b'""", id="quoted-name"),
        pytest.param("self.mode == 'open", None, id="not-closed"),
    ],
)
def test_rules_with_comments_and_all_kinds_of_text(rule: str, wanted: str | None) -> None:
    node = {"properties": {"mode": {"type": "string", "default": "a"}}, "x-kubernetes-validations": [{"rule": rule}]}
    carried = rules.carry(node, MODE, "spec")
    if wanted is None:
        assert carried.kept == []
        assert "CEL rule left out" in carried.cautions[0].message
    else:
        assert [each["rule"] for each in carried.kept] == [wanted]


def test_a_message_expression_is_read_as_a_rule_is() -> None:
    output = {"rule": "self.mode != 'c'", "messageExpression": "'it\\'s ' + self.mode // it's"}
    node = {"properties": {"mode": {"type": "string", "default": "a"}}, "x-kubernetes-validations": [output]}
    (kept,) = rules.carry(node, MODE, "spec").kept
    assert kept["messageExpression"] == """'it\\'s ' + (has(self.mode) ? self.mode : "a") // it's"""


def test_a_comment_at_the_end_hides_nothing_of_what_is_put_around_it() -> None:
    assert cel.unless("has(self.a)", "self.a > 0 // it's (") == "!(has(self.a)) || (self.a > 0)"


@pytest.mark.parametrize(
    "expression",
    [
        "self.a" + " + self.a" * 20_000,
        "(" * 20_000 + "self.a" + ")" * 20_000,
        "self.a.all(x, " * 10_000 + "true" + ")" * 10_000,
        "'" + "\\'" * 50_000,
        "'''" + "''\\" * 50_000,
        "// it's\n" * 20_000 + "self.a",
        "self" + "[0]" * 20_000,
        "has(" * 20_000,
    ],
)
def test_the_reading_is_linear(expression: str) -> None:
    """CPU time with a wide margin: what is quadratic here takes minutes."""
    began = time.process_time()
    try:
        cel.chains(expression)
        cel.roots(expression)
    except cel.Unreadable:
        pass
    assert time.process_time() - began < 5
