"""Flags as Go's programs accept them (kubefedctl, kubectl), rewritten for click.

`--name value`, `--name=value`, `-n value`, `-n=value`, `-nvalue` and, for flags that need no value, `-ct`, `--flag`,
`--flag=false`; `_` in a name is `-`; a long name may have one dash (`-kubeconfig=FILE`, as in Go's own package); flags
may stand before the verb. Click reads some of these otherwise (`-n=shop` is the namespace `=shop`), so every command
line is rewritten with `--name=value` before click gets it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import click

KLOG: Mapping[str, str | None] = {
    "--add-dir-header": "true",
    "--alsologtostderr": "true",
    "--log-backtrace-at": None,
    "--log-dir": None,
    "--log-file": None,
    "--log-file-max-size": None,
    "--log-flush-frequency": None,
    "--logtostderr": "true",
    "--one-output": "true",
    "--skip-headers": "true",
    "--skip-log-headers": "true",
    "--stderrthreshold": None,
    "--vmodule": None,
}
"""Flags of the logging library in kubefedctl, each with its value when none is given (None: it needs one)."""

_VALUED = frozenset(
    f"--{name}"
    for name in (
        "cluster-context",
        "federated-group",
        "federated-version",
        "filename",
        "host-cluster-name",
        "namespace",
        "output",
        "secret-name",
        "skip-api-resources",
        "version",
    )
)
"""More flags of kubefedctl whose value may be the next word: by these, one with one dash before the verb is found."""
_GLOBAL = frozenset({"--kubeconfig", "--host-cluster-context", "--context", "--kubefed-namespace"}) | {
    name for name, bare in KLOG.items() if bare is None
}
"""Flags whose value is the next word even where that is a verb's name."""
_FALSE = frozenset({"0", "f", "false", "n", "no", "off"})


class GoFlag(click.Option):
    """A flag whose value may be left out: `--flag`, `--flag=true`, `--flag=false`, `-t`; its value is then `bare`.

    The next word is never its value.
    """

    def __init__(self, *args: Any, bare: str = "true", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.bare = bare


class LevelFlag(click.Option):
    """klog's -v, whose value may be left out, too (`bare`); the next word is its value if that is a number."""

    def __init__(self, *args: Any, bare: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.bare = bare


@dataclass(slots=True)
class Rewritten:
    """A command line for click: `flags` as `--name=value`, then the other words; `ignored` are klog's flags in it."""

    flags: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)

    @property
    def line(self) -> list[str]:
        """The whole command line."""
        return [*self.flags, "--", *self.words] if self.words else self.flags


def rewrite(arguments: Sequence[str], options: Iterable[click.Parameter], ctx: click.Context) -> Rewritten:
    """Rewrite a command line for click. An unknown flag, or one without its value, is a usage error of click's."""
    known = {name: option for option in options if isinstance(option, click.Option) for name in option.opts}
    return _Rewriter(known, ctx).rewrite(list(arguments))


class _Rewriter:
    """Rewrites one command line."""

    def __init__(self, known: Mapping[str, click.Option], ctx: click.Context) -> None:
        self._known = known
        self._ctx = ctx
        self._rest: list[str] = []
        self._made = Rewritten()

    def rewrite(self, line: list[str]) -> Rewritten:
        self._rest = line
        while self._rest:
            word = self._rest.pop(0)
            if word == "--":
                self._made.words += self._rest
                break
            if word.startswith("--"):
                name, equals, value = word.partition("=")
                self._long(_normal(name), value if equals else None)
            elif word.startswith("-") and word != "-":
                self._short(word)
            else:
                self._made.words.append(word)
        return self._made

    def _long(self, name: str, value: str | None) -> None:
        option = self._known.get(name)
        if option is not None:
            self._take(option, name, value)
        elif name in KLOG:
            self._made.ignored.append(name)
            if value is None and KLOG[name] is None and self._rest:
                self._rest.pop(0)
        else:  # click reports that there is no such option, and a similar one
            self._made.flags.append(name if value is None else f"{name}={value}")

    def _short(self, word: str) -> None:
        name, equals, value = word[1:].partition("=")
        long = _normal(f"--{name}")
        if len(name) > 1 and (long in self._known or long in KLOG):
            self._long(long, value if equals else None)
            return
        letters = word[1:]
        while letters:
            name, letters = f"-{letters[0]}", letters[1:]
            option = self._known.get(name)
            if option is None:
                if self._ctx.resilient_parsing:
                    return
                within = "" if word.partition("=")[0] == name else f" in {word}"
                raise click.NoSuchOption(name, f"no such option: {name}{within}", ctx=self._ctx)
            numeric = isinstance(option, LevelFlag) and letters.isdecimal()
            if letters.startswith("=") or numeric or (letters and _bare(option) is None):
                self._put(option, name, letters.removeprefix("="))
                return
            self._take(option, name, _bare(option) if letters else None)

    def _take(self, option: click.Option, name: str, value: str | None) -> None:
        bare = _bare(option)
        if value is None and isinstance(option, LevelFlag) and self._rest and self._rest[0].isdecimal():
            value = self._rest.pop(0)
        elif value is None and bare is None:
            if self._rest:
                value = self._rest.pop(0)
            elif self._ctx.resilient_parsing:  # for completion: the line is not complete
                return
            else:
                raise click.BadOptionUsage(name, f"{name} needs a value", self._ctx)
        self._put(option, name, bare or "" if value is None else value)

    def _put(self, option: click.Option, name: str, value: str) -> None:
        if option.is_flag:
            if value.lower() not in _FALSE:
                self._made.flags.append(name)
            return
        long = next((each for each in (name, *option.opts) if each.startswith("--")), "")
        self._made.flags += [f"{long}={value}"] if long else [name, value]


def _bare(option: click.Option) -> str | None:
    """The flag's value where none is given; None when it needs one."""
    if isinstance(option, GoFlag | LevelFlag):
        return option.bare
    return "true" if option.is_flag else None


def _normal(name: str) -> str:
    return f"--{name[2:].replace('_', '-')}"


def _with_one_dash(word: str) -> str:
    """The name of a long flag that is written with one dash; the word as it is where it is none that has a value."""
    long = _normal(f"-{word}")
    return long if len(word) > 2 and (long in _GLOBAL or long in _VALUED) else word


def verb_first(arguments: Sequence[str], verbs: Collection[str]) -> list[str]:
    """The line with the verb moved before the flags that stand before it: they are the verb's, as in cobra.

    The word after a flag is its value unless it is a verb. Without a verb the line stays as it is.
    """
    before: list[str] = []
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word == "--":
            break
        if not word.startswith("-") or word == "-":
            return [word, *before, *rest]
        if word in ("-h", "--help") or (word == "--version" and (not rest or rest[0] in verbs)):
            break
        before.append(word)
        name = _normal(word) if word.startswith("--") else _with_one_dash(word)
        alone = "=" in word or KLOG.get(name) is not None or (not name.startswith("--") and len(word) > 2)
        if word == "-v" or name in ("--v", "--verbose"):
            alone = not (rest and rest[0].isdecimal())
        if not alone and rest and (name in _GLOBAL or (rest[0] not in verbs and not rest[0].startswith("-"))):
            before.append(rest.pop(0))
    return list(arguments)
