"""Search spaces of settings: each model declares its own beside its config."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lacuna.errors import ConfigError

Value = bool | int | float | str


@dataclass(frozen=True)
class Span:
    """Numbers from ``low`` to ``high``, both included; whole numbers if both are.

    Attributes:
        low: smallest value.
        high: largest value.
        log: drawn uniformly on a logarithmic scale.
        step: only ``low``, ``low + step``, ...; ``None`` = any value (of whole numbers: each one).

    Raises:
        ConfigError: the bounds are in the wrong order, or bounds, ``log`` and ``step`` do not fit together.
    """

    low: float
    high: float
    log: bool = False
    step: int | float | None = None

    def __post_init__(self) -> None:
        if any(isinstance(v, bool) or not isinstance(v, int | float) for v in (self.low, self.high)) or not self.low < self.high:
            raise ConfigError(f"a span needs two numbers, the lower one first; found low {self.low!r}, high {self.high!r}")
        if self.log and self.low <= 0:
            raise ConfigError(f"a logarithmic span must start above 0; found low {self.low!r}")
        if self.step is not None and (self.log or not 0 < self.step <= self.high - self.low):
            raise ConfigError(f"a step must be above 0, within the bounds and without a logarithm; found {self.step!r}")

    @property
    def whole(self) -> bool:
        """Return whether only whole numbers are drawn."""
        return isinstance(self.low, int) and isinstance(self.high, int) and not isinstance(self.step, float)

    @property
    def ends(self) -> tuple[Value, ...]:
        """Return the smallest and the largest value that can be drawn."""
        if self.step is None:
            return self.low, self.high
        return self.low, self.low + int((self.high - self.low) / self.step + 1e-9) * self.step

    def holds(self, value: object) -> bool:
        """Return whether a value can be drawn."""
        if isinstance(value, bool) or not isinstance(value, int if self.whole else (int, float)):
            return False
        if not self.low <= value <= self.high:
            return False
        steps = (value - self.low) / (self.step or 1)
        return self.step is None or abs(steps - round(steps)) < 1e-9

    def __str__(self) -> str:
        """Return the space in words."""
        detail = f" by {self.step:g}" if self.step else ", logarithmic" if self.log else ""
        return f"{self.low:g} to {self.high:g}{detail}"


@dataclass(frozen=True)
class Choice:
    """One of a few unordered values.

    Raises:
        ConfigError: fewer than two values, a value twice, or a value that is not a plain bool, int, float or str.
    """

    values: tuple[Value, ...]

    def __post_init__(self) -> None:
        plain = all(isinstance(v, bool | int | float | str) for v in self.values)
        if not plain or len({(type(v), v) for v in self.values}) < max(2, len(self.values)):
            raise ConfigError(f"a choice needs at least two different plain values; found {list(self.values)!r}")

    @property
    def ends(self) -> tuple[Value, ...]:
        """Return all values."""
        return self.values

    def holds(self, value: object) -> bool:
        """Return whether a value can be drawn."""
        return any(type(v) is type(value) and v == value for v in self.values)

    def __str__(self) -> str:
        """Return the space in words."""
        return ", ".join(map(str, self.values))


Dimension = Span | Choice
Space = Mapping[str, Dimension]
