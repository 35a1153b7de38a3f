"""Metrics of answers that are numbers: how far they are from the target, and how much of its variance they explain."""

from __future__ import annotations

from typing import Any

import torch

from specc.train.metrics.meter import Reading, Share, Spacings, State


class SquaredError(Share):
    """The mean of the squared differences."""

    def __init__(self, entry: Any, reading: Reading) -> None:
        pass

    def add(self, output: torch.Tensor, target: torch.Tensor, spacing: Spacings | None = None) -> None:
        found = self.measure(output.double() - target.view_as(output).double()).sum()
        self.take(torch.stack((found, torch.full_like(found, output.numel()))))

    def measure(self, difference: torch.Tensor) -> torch.Tensor:
        return difference.square()


class AbsoluteError(SquaredError):
    """The mean of the absolute differences."""

    def measure(self, difference: torch.Tensor) -> torch.Tensor:
        return difference.abs()


class R2:
    """1 minus squared error over variance, per number of the output, then the mean; 0 where nothing varies."""

    def __init__(self, entry: Any, reading: Reading) -> None:
        self.count = 0
        self.error = self.mean = self.spread = torch.zeros(())

    def add(self, output: torch.Tensor, target: torch.Tensor, spacing: Spacings | None = None) -> None:
        y, x = (each.reshape(len(each), -1).double() for each in (target, output))
        mean = y[0] + (y - y[0]).mean(0)  # what never varies has no spread at all
        self._take(len(y), (y - x).square().sum(0), mean, (y - mean).square().sum(0))

    def state(self) -> State:
        if not self.count:
            return {}
        count = torch.full_like(self.mean, self.count)
        return {"figures": torch.stack((count, self.error, self.mean, self.spread))}

    def absorb(self, state: State) -> None:
        if state:
            found = state["figures"].to(self.mean.device) if self.count else state["figures"]
            self._take(int(found[0, 0]), *found[1:])

    def more(self) -> dict[str, float]:
        return {}

    def _take(self, count: int, error: torch.Tensor, mean: torch.Tensor, spread: torch.Tensor) -> None:
        """Join mean and squares about the mean of two parts (Chan, Golub and LeVeque 1979)."""
        if self.count:
            apart, total = mean - self.mean, self.count + count
            spread = spread + self.spread + apart.square() * (self.count * count / total)
            error, mean = error + self.error, self.mean + apart * (count / total)
        self.count += count
        self.error, self.mean, self.spread = error, mean, spread

    def value(self) -> float:
        if not self.count:
            return float("nan")
        spread = self.spread
        shares = 1 - self.error / spread.clamp(min=1e-300)
        return float(torch.where(spread > 0, shares, torch.zeros_like(spread)).mean())
