"""One measured figure of a bench, as it is printed."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A name, a value, its unit, and what it is held against."""

    name: str
    value: float
    unit: str
    note: str = ""

    def __str__(self) -> str:
        value = f"{self.value:,.0f}" if self.value >= 1000 else f"{self.value:.3g}"
        return f"{self.name:<44}{value:>12} {self.unit:<10}{self.note}".rstrip()
