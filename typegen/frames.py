"""Render the manifests around a target's schema, from the user's templates (`--templates DIR`) or typegen's.

A user's template is input: errors in it are an Unusable that names the file, not a traceback.
"""

import functools
import traceback
from pathlib import Path
from typing import Any

from typegen import templates
from typegen.kubeyaml import reading
from typegen.model import Unusable


def documents(name: str, overlay: str = "", /, **values: Any) -> list[dict[str, Any]]:
    """The YAML documents of template `name`, from the folder `overlay` where it has that file ("" = none)."""
    if not overlay:
        return templates.documents(name, **values)
    _known(overlay)
    import jinja2  # noqa: PLC0415 (typegen --help must not pay for it)

    where = Path(overlay) / name
    try:
        found = templates.documents(name, overlay, **values)
    except jinja2.TemplateSyntaxError as error:
        raise Unusable(f"{where}:{error.lineno}: {error.message}") from error
    except (jinja2.TemplateError, TypeError, UnicodeDecodeError) as error:
        raise Unusable(f"{where}{_line(error)}: {error}") from error
    except reading.Unreadable as error:
        raise Unusable(f"{where}: its output is not YAML: {error}") from error
    if not all(isinstance(each, dict) and each.get("kind") for each in found):
        raise Unusable(f"{where}: a document in its output is not a manifest, kind is missing")
    return found


def _line(error: Exception) -> str:
    """`:LINE` of the template where rendering failed, "" if it was not there; Jinja's frames have these lines."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.name == "top-level template code"]
    return f":{frames[-1].lineno}" if frames else ""


@functools.cache
def _known(overlay: str) -> None:
    """Raise Unusable for a folder without any of the templates: otherwise a wrong path would go unnoticed."""
    own = [name for name in templates.names() if name.startswith("types/")]
    if not any((Path(overlay) / name).is_file() for name in own):
        raise Unusable(f"{overlay}: no template in it; it may hold {', '.join(own)}")
