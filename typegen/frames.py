"""Render the templates that surround a target's schema, the user's own (`--templates DIR`) before typegen's.

A user's template is input like any other: what is wrong with it is an Unusable that names the file, not a traceback.
"""

import functools
import traceback
from pathlib import Path
from typing import Any

import templates
from typegen.model import Unusable


def documents(name: str, overlay: str = "", /, **values: Any) -> list[dict[str, Any]]:
    """The YAML documents of template `name`, from the folder `overlay` where it has that file ("" = none)."""
    if not overlay:
        return templates.documents(name, **values)
    _known(overlay)
    import jinja2  # noqa: PLC0415 (typegen --help must not pay for it)
    import yaml  # noqa: PLC0415

    where = Path(overlay) / name
    try:
        found = templates.documents(name, overlay, **values)
    except jinja2.TemplateSyntaxError as error:
        raise Unusable(f"{where}:{error.lineno}: {error.message}") from error
    except (jinja2.TemplateError, TypeError, UnicodeDecodeError) as error:
        raise Unusable(f"{where}{_line(error)}: {error}") from error
    except yaml.YAMLError as error:
        raise Unusable(f"{where}: renders to no YAML: {' '.join(str(error).split())}") from error
    if not all(isinstance(each, dict) and each.get("kind") for each in found):
        raise Unusable(f"{where}: a document in it is no manifest, kind is missing")
    return found


def _line(error: Exception) -> str:
    """`:LINE` of the template where rendering stopped, "" outside of it: Jinja's frames carry the template's lines."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.name == "top-level template code"]
    return f":{frames[-1].lineno}" if frames else ""


@functools.cache
def _known(overlay: str) -> None:
    """Refuse a folder in which no file would ever be used: a wrong path must not look like success."""
    own = [name for name in templates.names() if name.startswith("types/")]
    if not any((Path(overlay) / name).is_file() for name in own):
        raise Unusable(f"{overlay}: no template in it; it may hold {', '.join(own)}")
