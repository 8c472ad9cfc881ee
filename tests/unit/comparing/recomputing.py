"""Everything in a report that is a number, computed again from the raw data's JSON, without the code that made it."""

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

_SUMS = {
    "hub_side_cpu": ("hub_cpu", "controller_cpu"),
    "hub_side_cpu_rest": ("hub_cpu_rest", "controller_cpu_rest"),
    "hub_side_memory": ("hub_memory", "controller_memory"),
}
_SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}


_Law = tuple[tuple[float, float], Callable[[float], float]]


class Raw:
    """Of some documents."""

    def __init__(self, documents: Sequence[Any]) -> None:
        self._rounds: dict[str, dict[tuple[int, int], list[float]]] = {}
        self._facts: dict[str, Any] = {}
        self._bare: dict[str, dict[str, list[float]]] = {}
        for number, document in enumerate(documents):
            machine = document["machine"]["identity"]
            for phase, values in document["bare_ms"].items():
                self._bare.setdefault(machine, {})[phase] = values
            done = [step for step in document["steps"] if step["state"] == "done"]
            for step in done:
                for sample in step["samples"]:
                    self._add((number, machine), sample, sample["values"])
            self._find(number, machine, [finding for step in done for finding in step["findings"]])
        self._sum()
        self.values = {key: [statistics.median(each[n]) for n in sorted(each)] for key, each in self._rounds.items()}

    def value(self, of: str) -> float:
        """What a number `of` this should be."""
        what, *keys = of.split(" ")
        if what == "fact":
            return float(self._facts[keys[0]])
        medians = [self.median(key) for key in keys]
        if what.startswith(("fit-", "residual-")):
            return self._fitted(what, keys)
        match what:
            case "median":
                return medians[0]
            case "low":
                return min(self.rounds(keys[0]))
            case "high":
                return max(self.rounds(keys[0]))
            case "ratio":
                return medians[0] / medians[1]
            case "bare":
                return self._by_bare(keys[0])
            case "bare-ratio":
                return self._by_bare(keys[0]) / self._by_bare(keys[1])
        raise AssertionError(f"nobody knows what {of} is")

    def rounds(self, key: str) -> list[float]:
        """Of a figure."""
        *head, part, at = key.split("/")
        whole = "/".join((*head, "", at))
        if not part:
            return self.values[key]
        rounds = self._rounds[whole]
        return [sorted(each)[math.ceil(_SHARES[part] * len(each)) - 1] for _, each in sorted(rounds.items())]

    def median(self, key: str) -> float:
        """Over the rounds."""
        return statistics.median(self.rounds(key))

    def _by_bare(self, key: str) -> float:
        bare = self._bare[key.split("/", maxsplit=1)[0]][_place(key)["phase"]]
        return statistics.median([value / part for value in self.rounds(key) for part in bare])

    def _fitted(self, what: str, keys: Sequence[str]) -> float:
        points = [
            (float(dict(p.split("=") for p in key.split("/")[-1].split(","))["members"]), self.median(key))
            for key in keys
        ]
        power, line = _power(points), _line(points)
        laws: list[_Law] = [(power, lambda n: power[0] * float(n ** power[1]))]
        if line[0] >= -1e-9 * points[0][1]:
            laws.insert(0, (line, lambda n: line[0] + line[1] * n))
        (a, b), law = min(laws, key=lambda one: round(sum(((y - one[1](n)) / y) ** 2 for n, y in points), 9))
        residuals = {n: (y - law(n)) / y for n, y in points}
        known = {"fit-a": a, "fit-b": b, "fit-worst": max(map(abs, residuals.values()))}
        if what.startswith("fit-at-"):
            return law(float(what.removeprefix("fit-at-")))
        return known[what] if what in known else residuals[float(what.removeprefix("residual-"))]

    def _add(self, run: tuple[int, str], of: Mapping[str, Any], values: Iterable[float]) -> None:
        number, machine = run
        place = ",".join(f"{key}={value}" for key, value in sorted(of["at"].items()))
        key = "/".join((machine, of["scenario"], of["subject"], of["figure"], "", place)).replace(" ", "_")
        self._rounds.setdefault(key, {}).setdefault((number, of["round"]), []).extend(values)

    def _sum(self) -> None:
        for figure, names in _SUMS.items():
            for key in [key for key in self._rounds if f"/{names[0]}//" in key]:
                other = self._rounds.get(key.replace(f"/{names[0]}//", f"/{names[1]}//"), {})
                sums = {
                    number: [statistics.median(values) + statistics.median(other[number])]
                    for number, values in self._rounds[key].items()
                    if number in other
                }
                if sums:
                    self._rounds[key.replace(f"/{names[0]}//", f"/{figure}//")] = sums

    def _find(self, number: int, machine: str, findings: Sequence[Any]) -> None:
        groups: dict[tuple[str, str, int], list[Any]] = {}
        for finding in findings:
            groups.setdefault((finding["scenario"], finding["subject"], finding["round"]), []).append(finding)
        first: dict[tuple[str, str], int] = {}
        for (scenario, subject, round_), group in groups.items():
            for figure, values in _counts(scenario, [each["facts"] for each in group]).items():
                self._add((number, machine), {**group[0], "figure": figure, "at": {}}, values)
            if first.setdefault((scenario, subject), round_) == round_:
                for about in {each["about"] for each in group}:
                    for index, each in enumerate([one for one in group if one["about"] == about]):
                        for fact, value in each["facts"].items():
                            place = f"{machine}/{scenario}/{subject}/{about}/{index}/{fact}"
                            self._facts[place.replace(" ", "_")] = value


def _place(key: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in key.rsplit("/", maxsplit=1)[-1].split(","):
        name, _, value = pair.partition("=")
        found[name] = value
    return found


def _counts(scenario: str, facts: Sequence[Mapping[str, Any]]) -> dict[str, list[float]]:
    if scenario == "versions":
        broke = [one for one in facts if one["broke"]]
        return {
            "broken": [len(broke)],
            "silent": [len([one for one in broke if not one["hub_says"]])],
            "broken_for": [sum(one["seconds"] for one in broke)],
        }
    if scenario == "trouble":
        shown = [one for one in facts if one["shown"]]
        return {
            "seen": [len(shown) / len(facts)],
            "seen_after": [one["seconds"] for one in shown],
            "seen_by": [one["commands"] for one in shown],
        }
    if scenario == "credentials":
        hub = [one for one in facts if one["lies"] == "hub" and one["opens"] != "host"]
        days = [one["valid_days"] for one in facts if one["opens"] != "host" and one["how"] == "directly"]
        return {
            "secrets": [len([one for one in hub if one["how"] == "directly"])],
            "valid": [max(math.inf if one is None else one for one in days)],
            "reach": [len({one["opens"] for one in hub if one["writes"]})],
        }
    return {}


def _power(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    slope, begin = statistics.linear_regression([math.log(n) for n, _ in points], [math.log(y) for _, y in points])
    return math.exp(begin), slope


def _line(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """1 = a/y + b·n/y by least squares, of two unknowns: Cramer's rule."""
    aa = sum(1 / y**2 for _, y in points)
    ab = sum(n / y**2 for n, y in points)
    bb = sum((n / y) ** 2 for n, y in points)
    a, b = sum(1 / y for _, y in points), sum(n / y for n, y in points)
    whole = aa * bb - ab * ab
    return (a * bb - b * ab) / whole, (b * aa - a * ab) / whole
