"""Resolve plain scalars as kubectl does: `0400` is 256, `yes` is true, 1:30 and 2026-01-01 are text. Pure.

Follows resolve() of go-yaml v2 and the conversion of keys in sigs.k8s.io/yaml. Everything takes linear time.
"""

import base64
import binascii
import math
import re
import struct
from decimal import Decimal
from typing import Any, Final

TAG: Final = "tag:yaml.org,2002:"
_WORDS: Final[dict[str, Any]] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
}
_FIRST: Final = frozenset("yYnNtTfFoO~.+-0123456789")
"""The first characters of scalars that may be something else than text."""
_INTEGER = re.compile(r"([-+]?)(?:(0[xX])([0-9a-fA-F]+)|(0[bB])([01]+)|(0[oO]?)([0-7]+)|([1-9][0-9]*|0))")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_DIGITS = "[0-9](?:_?[0-9])*"
_FRACTION = re.compile(rf"\.{_DIGITS}(?:[eE][-+]?{_DIGITS})?")
_SIGN_INSIDE = re.compile(r"0b[-+][01]+")
_TIME = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt ][0-9:.]+(?:Z|[-+][0-9]{2}:[0-9]{2})?)?")
_LONGEST_INTEGER = 70
"""More characters than any integer of 64 bits has, without underscores; a longer scalar can only be a float."""
_IGNORED: Final = frozenset(TAG + each for each in ("map", "seq", "set", "omap", "pairs", "merge", "value"))
_CHECKED: Final = frozenset(TAG + each for each in ("str", "bool", "int", "float", "null", "timestamp", "binary"))


class NoValue(ValueError):
    """The scalar does not fit its tag, or has no equivalent in JSON."""


def resolve(text: str) -> Any:
    """The value of a plain scalar, floats as YAML has them (see value)."""
    if text and text[0] not in _FIRST:
        return text
    if text in _WORDS:
        return _WORDS[text]
    first = text[0]
    if first in "yYnNtTfFoO~":
        return text
    plain = text.replace("_", "")
    if first != "." and len(plain) <= _LONGEST_INTEGER:
        whole = _integer(plain)
        if whole is not None:
            return whole
    # After a leading dot, underscores are allowed between digits only; elsewhere they are allowed everywhere.
    if (_FRACTION.fullmatch(text) if first == "." else _FLOAT.fullmatch(plain)) is None:
        return text
    number = float(plain)
    return number if math.isfinite(number) else text


def _integer(text: str) -> int | None:
    if _SIGN_INSIDE.fullmatch(text):
        number = int(text.removeprefix("0b"), 2)  # in go-yaml 0b-1 is -1
        return number if -(2**63) <= number < 2**63 else None
    match = _INTEGER.fullmatch(text)
    if match is None:
        return None
    sign, hexadecimal, base16, binary, base2, octal, base8, base10 = match.groups()
    if hexadecimal:
        number = int(base16, 16)
    elif binary:
        number = int(base2, 2)
    elif octal:
        number = int(base8, 8)
    else:
        number = int(base10)
    number = -number if sign == "-" else number
    # With a sign it must fit into a signed integer of 64 bits, without one into an unsigned integer.
    return number if -(2**63) <= number < (2**63 if sign else 2**64) else None


def is_known(tag: str) -> bool:
    """Whether a tag is one of YAML's own that kubectl's reader knows; for lists and maps such a tag is ignored."""
    return tag == "!" or tag in _IGNORED or tag in _CHECKED


def tagged(tag: str, text: str) -> Any:
    """The value of a scalar with an explicit tag. Raises NoValue when it does not fit the tag."""
    if tag == "!" or tag in _IGNORED:
        return text
    found = resolve(text)
    match tag.removeprefix(TAG):
        case "str":
            return text
        case "null" if found is None:
            return None
        case "bool" | "int" | "float" as kind if type(found).__name__ == kind:
            return found
        case "float" if type(found) is int:
            return float(found)
        case "timestamp" if _TIME.fullmatch(text):
            return text
        case "binary":
            try:
                return base64.b64decode("".join(text.split()), validate=True).decode()
            except (binascii.Error, UnicodeDecodeError):
                raise NoValue("is not base64 of UTF-8 text") from None
        case "bool" | "int" | "float" | "null" | "timestamp" as kind:
            raise NoValue(f"is not a {kind}")
    raise NoValue(f"has the tag {tag[:60]}, which JSON does not have")


def value(found: Any) -> Any:
    """A resolved value as in JSON: a float without a fraction becomes an integer. Raises NoValue."""
    if type(found) is not float:
        return found
    if not math.isfinite(found):
        raise NoValue("is not a number in JSON")
    if found.is_integer() and abs(found) < 1e21:
        # The shortest digits that identify this number, as Go prints it: 2**64 is 18446744073709552000.
        return int(Decimal(repr(found)))
    return found


def key(found: Any) -> str:
    """A field's name: of `1: a` it is "1", of `y: 1` it is "true". Raises NoValue for null."""
    if isinstance(found, str):
        return found
    if found is None:
        raise NoValue("is null")
    if isinstance(found, bool):
        return "true" if found else "false"
    if isinstance(found, int):
        if found >= 2**63:
            raise NoValue("is a number beyond 64 bits")
        return str(found)
    return _single(float(found))


def _single(number: float) -> str:
    """A float as Go prints one of 32 bits in its shortest form (`%g`): 1e6 is 1e+06."""
    if math.isnan(number):
        return ".nan"
    try:
        bits = struct.pack("f", number)
    except OverflowError:
        bits = struct.pack("f", math.copysign(math.inf, number))
    single = struct.unpack("f", bits)[0]
    if math.isinf(single):
        return ".inf" if single > 0 else "-.inf"
    digits = next(text for size in range(10) if struct.pack("f", float(text := f"{single:.{size}e}")) == bits)
    mantissa, _, exponent = digits.partition("e")
    power = int(exponent)
    places = len(mantissa.lstrip("-").replace(".", ""))
    if power < -4 or power >= 6:
        return f"{mantissa}e{'-' if power < 0 else '+'}{abs(power):02d}"
    return f"{single:.{max(places - 1 - power, 0)}f}"


def is_text(text: str) -> bool:
    """Whether the plain scalar is read as this same text."""
    return text != "<<" and resolve(text) is text
