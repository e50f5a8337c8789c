"""The parameters of ``conf/*/parameters_recover.yml``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import PositiveInt, model_validator

from lacuna.pipelines.parameters import BEST, Parameters, PatternParameters, Rate, Seed, _told

if TYPE_CHECKING:
    from lacuna.missing import MaskPlan


class Recover(Parameters):
    """Which model completes the test split, and under which mask."""

    model: str = BEST
    pattern: str | PatternParameters = "rmm"
    rate: Rate = 0.5
    seed: Seed = 0
    device: str = "auto"
    threads: PositiveInt | None = None

    @model_validator(mode="after")
    def _check(self) -> Recover:
        _told(self.plan)
        return self

    def plan(self) -> MaskPlan:
        """Return the mask.

        Raises:
            ConfigError: an unknown pattern or setting.
        """
        from lacuna.missing import MaskPlan, pattern

        if isinstance(self.pattern, str):
            return MaskPlan(self.pattern, self.rate, self.seed)
        return MaskPlan(pattern(self.pattern.name, **self.pattern.settings), self.rate, self.seed)
