"""Show control characters instead of sending them to the terminal, which would obey them.

Names, versions and messages come from API servers, which other people may run. All output goes through these streams,
so that no verb can forget it. They are written as JSON escapes, so JSON and double-quoted YAML keep their meaning.
"""

import re
from typing import Any

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
"""All control characters but tab and newline, and single surrogates, which cannot be encoded."""


def visible(text: str) -> str:
    """The text with every control character written out."""
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


_UNSEEN = re.compile("[\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""What moves or breaks text on a screen without being seen: directions, and line ends that are no newline."""


def line(text: str) -> str:
    """A line of somebody's own making, such as a log's: nothing in it moves the cursor, or what stands around it."""
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", visible(text))


class Stream:
    """A text stream that writes everything `visible`; `raw` is the stream below, for our own colours."""

    def __init__(self, raw: Any) -> None:
        self.raw = raw

    def write(self, text: str) -> int:
        """Write the text, with control characters made visible."""
        return int(self.raw.write(visible(text)))

    def __getattr__(self, name: str) -> Any:
        if name == "buffer":  # writing there would go around `write`
            raise AttributeError(name)
        return getattr(self.raw, name)


def raw(stream: Any) -> Any:
    """The stream itself, for text that was made visible and then coloured."""
    return stream.raw if isinstance(stream, Stream) else stream
