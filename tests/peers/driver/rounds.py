"""Measurements in turns, so that a slow minute of the machine slows all of them."""

from dataclasses import dataclass, field
from statistics import median

from .contender import Contender
from .places import log


@dataclass
class Measurement:
    """One number of the table: who, asked what, and the rate of each round."""

    labels: dict[str, object]
    contender: Contender
    request: str
    rates: list[float] = field(default_factory=list)

    @property
    def runtime(self) -> str:
        return str(self.labels["runtime"])

    @property
    def rate(self) -> float:
        """The median over the rounds."""
        return median(self.rates)

    def ratio_to(self, base: "Measurement") -> float:
        """The median over the rounds of our rate against that of `base` in the same round, seconds before or after."""
        return median(ours / theirs for ours, theirs in zip(self.rates, base.rates, strict=True))


def interleave(groups: list[list[Measurement]], rounds: int, unit: str) -> None:
    """Measures each group's members one after the other, group by group, `rounds` times. Who begins changes."""
    for turn in range(rounds):
        log(f"round {turn + 1} of {rounds}")
        for group in groups:
            start = turn % len(group)
            for measurement in group[start:] + group[:start]:
                answer = measurement.contender.ask(measurement.request)
                if answer is not None:
                    measurement.rates.append(answer[unit] / answer["seconds"])


def prepare(contenders: dict[str, Contender]) -> None:
    """Starts all processes, one after the other."""
    for name, contender in contenders.items():
        contender.start()
        log(f"{name}: {f'skipped: {contender.skipped}' if contender.skipped else 'ready'}")
