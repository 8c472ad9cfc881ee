"""Write what was generated as YAML for git: stable to the byte, readable, with what could not be carried on top."""

import functools
import re
from collections.abc import Iterable, Mapping
from typing import Any

from typegen.model import ApiResource, Caution, Generated

_OTHER_WORDS = (
    ("bool", "[yYnN]", list("yYnN")),
    ("int", "[-+]?0o[0-7]+", list("-+0")),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", list("-+.0123456789")),
)
"""Bare words that kubectl's YAML takes for more than text and PyYAML does not: a field `y` would become `true`."""
MARK = "# Written by typegen; change the source and write it again."
"""The second line of every file that typegen writes: how `check` and `--prune` know its own."""


def text(generated: Generated) -> str:
    """The file of one type: a header, the federated CRD and the FederatedTypeConfig."""
    return _titled(generated.target, generated.federated, generated.cautions) + dump(generated.manifests)


def renamed(content: str, target: ApiResource, federated: ApiResource, cautions: Iterable[Caution]) -> str:
    """The file `content` of a type after a second thought about its short names."""
    import yaml  # noqa: PLC0415

    crd, *others = yaml.load_all(content, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    called = {key: value for key, value in crd["spec"]["names"].items() if key != "shortNames"}
    short = {"shortNames": list(federated.short_names)} if federated.short_names else {}
    crd["spec"]["names"] = {**called, **short}
    return _titled(target, federated, cautions) + dump([crd, *others])


def _titled(target: ApiResource, federated: ApiResource, cautions: Iterable[Caution]) -> str:
    return header(f"{federated.kind}, the federated form of {target.kind} in {target.api_version}.", cautions)


def header(title: str, cautions: Iterable[Caution]) -> str:
    """Comment lines: what the file is, and what its reader should know."""
    lines = [f"# {title}", MARK]
    noted = sorted(set(cautions))
    if noted:
        lines += ["#", "# Not carried over from the target, or not as it was:"]
        lines += [f"#   {' '.join(str(caution).split())}" for caution in noted]
    return "\n".join(lines) + "\n"


def dump(documents: Iterable[Mapping[str, Any]]) -> str:
    """`documents` as one YAML stream with sorted keys: equal input gives equal bytes."""
    import yaml  # noqa: PLC0415 (typegen --help must not pay for it)

    result: str = yaml.dump_all(
        documents,
        Dumper=_dumper(),
        sort_keys=True,
        default_flow_style=False,
        explicit_start=True,
        allow_unicode=True,
        width=2**20,
    )
    return result


@functools.cache
def _dumper() -> type[Any]:
    import yaml  # noqa: PLC0415

    base: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

    class Dumper(base):  # type: ignore[misc]
        """SafeDumper without aliases (shared nodes are written out) and with literal blocks for long texts."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

    def string(dumper: Any, value: str) -> Any:
        style = "|" if "\n" in value and _fits_literal(value) else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    Dumper.add_representer(str, string)
    for tag, pattern, starts in _OTHER_WORDS:
        Dumper.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"), starts)
    return Dumper


def _fits_literal(value: str) -> bool:
    """Whether `value` can be a literal block; emitters fall back, each in its own way, when it cannot."""
    return not value[0].isspace() and all(line == line.rstrip() and line.isprintable() for line in value.split("\n"))
