"""Checks that every reader of user input shares: is it there, is it of the right type, is it a name.

Each takes the decoded value and the path it was found at, returns the value typed, and raises Invalid with that path
otherwise. JSON null counts as absent (Kubernetes API conventions: null and absent mean the same to a defaulted field).
"""

import re
from collections.abc import Collection, Mapping, Sequence, Sized
from typing import Any

from federation.model.errors import Invalid

_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_LABEL_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_DNS_1123 = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_DNS_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")


def describe(value: object) -> str:
    """What a decoded JSON value is, without quoting it: it may be anything, a secret included."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case str():
            return "a string"
        case int() | float():
            return "a number"
        case Mapping():
            return "a map"
    return "a list"


def mapping(value: object, field: str) -> Mapping[str, Any]:
    """A map; absent reads as empty."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Invalid(field, f"must be a map, not {describe(value)}")
    return value


def sequence(value: object, field: str) -> Sequence[Any]:
    """A list; absent reads as empty."""
    if value is None:
        return ()
    if not isinstance(value, list):
        raise Invalid(field, f"must be a list, not {describe(value)}")
    return value


def at_most(items: Sized, most: int, field: str) -> None:
    """Raise Invalid when there are more than the type's schema lets in (objects may be older than their schema)."""
    if len(items) > most:
        raise Invalid(field, f"has {len(items)} entries; at most {most} are taken")


def string(value: object, field: str) -> str:
    """A string that is not empty."""
    if value is None or value == "":
        raise Invalid(field, "is required")
    if not isinstance(value, str):
        raise Invalid(field, f"must be a string, not {describe(value)}")
    return value


def boolean(value: object, field: str, *, default: bool) -> bool:
    """True or false; absent reads as the default."""
    if value is None:
        return default
    if not isinstance(value, bool):
        raise Invalid(field, f"must be true or false, not {describe(value)}")
    return value


def positive(value: object, field: str, *, default: int) -> int:
    """A whole number over 0; absent reads as the default."""
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool):
        raise Invalid(field, f"must be a whole number, not {describe(value)}")
    if value <= 0:
        raise Invalid(field, f"must be greater than 0, not {value}")
    return value


def between(value: object, field: str, least: int, most: int, *, default: int) -> int:
    """A whole number within these bounds; absent reads as the default."""
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool):
        raise Invalid(field, f"must be a whole number, not {describe(value)}")
    if not least <= value <= most:
        raise Invalid(field, f"must be from {least} to {most}, not {value}")
    return value


def choice(value: object, field: str, allowed: Collection[str], *, default: str | None = None) -> str:
    """One of the allowed texts; absent reads as the default where there is one."""
    if value is None and default is not None:
        return default
    text = string(value, field)
    if text not in allowed:
        raise Invalid(field, f"must be one of {', '.join(allowed)}, not {quote(text)}")
    return text


def quote(text: str, limit: int = 63) -> str:
    """Quote a text of the user's for a message, cut to a length that fits on a line."""
    return f'"{text}"' if len(text) <= limit else f'"{text[:limit]}…"'


def label_key(key: str, field: str) -> str:
    """A label key: optional DNS prefix and a name of at most 63 characters (apimachinery's IsQualifiedName)."""
    prefix, slash, name = key.rpartition("/")
    if not _LABEL_NAME.fullmatch(name):
        raise Invalid(field, f"{quote(key)} is not a label key")
    if slash and (len(prefix) > 253 or not _DNS_1123.fullmatch(prefix)):
        raise Invalid(field, f"the prefix of label key {quote(key)} is not a DNS name")
    return key


def is_label_value(value: str) -> bool:
    """Whether it can be the value of a label."""
    return _LABEL_VALUE.fullmatch(value) is not None


def label_value(value: object, field: str) -> str:
    """A label value: at most 63 of letters, digits, `-`, `_` and `.`, or empty (apimachinery's IsValidLabelValue)."""
    if not isinstance(value, str):
        raise Invalid(field, f"must be a string, not {describe(value)}")
    if not _LABEL_VALUE.fullmatch(value):
        raise Invalid(field, f"{quote(value)} is not a label value")
    return value


def dns_1123(value: str, field: str) -> str:
    """A DNS subdomain of at most 253 characters (RFC 1123), as API groups and most object names are."""
    if not is_dns_1123(value):
        raise Invalid(field, f"{quote(value)} must be lower case letters, digits, '-' and '.' (DNS-1123 subdomain)")
    return value


def is_dns_1123(value: str) -> bool:
    """Whether it is such a name."""
    return len(value) <= 253 and _DNS_1123.fullmatch(value) is not None


def is_version(value: str) -> bool:
    """Whether it can be the version of an API, as a CustomResourceDefinition names them: a DNS-1035 label."""
    return len(value) <= 63 and _DNS_1035.fullmatch(value) is not None


def dns_1035(value: str, field: str) -> str:
    """A DNS label that starts with a letter (RFC 1035), as versions and plurals are."""
    if not is_version(value):
        raise Invalid(field, f"{quote(value)} must be lower case letters, digits and '-', a letter first (DNS-1035)")
    return value
