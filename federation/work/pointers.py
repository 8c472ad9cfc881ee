"""Fields that a work leaves to the member, as JSON pointers: read from JSON paths and jq's path expressions.

Both are whole languages; what names one field is taken: members, quoted members and indices. Anything else (filters,
pipes, `..`) is refused in words, because to ignore another field than was meant would overwrite somebody's.
"""

import re

from federation.model.errors import Invalid

_STEP = re.compile(
    r"\.(?P<name>[A-Za-z_][\w-]*)"
    r"|\.?\[(?P<quote>['\"])(?P<quoted>[^'\"\[\]]{1,253})(?P=quote)\]"
    r"|\.(?P<mark>\")(?P<text>[^\"]{1,253})\""
    r"|\.?\[(?P<index>\d{1,4})\]"
)
_HINT = "is not a path to one field such as .spec.replicas or .spec.template.spec.containers[0].image"


def of_path(text: str, field: str) -> tuple[str, ...]:
    """The pointer, as its tokens. Raises Invalid."""
    body = text.strip()
    if body.startswith("{") and body.endswith("}"):
        body = body[1:-1].strip()
    body = body.removeprefix("$")
    if body and body[0] not in ".[":
        body = f".{body}"
    found: list[str] = []
    end = 0
    while end < len(body):
        step = _STEP.match(body, end)
        if step is None:
            raise Invalid(field, _HINT)
        found.append(step["name"] or step["quoted"] or step["text"] or step["index"])
        end = step.end()
    if not found:
        raise Invalid(field, _HINT)
    return tuple(found)
