"""What answers go through after the network: from probabilities to classes, and what is too small to be meant."""

from __future__ import annotations

from typing import Annotated

from specc.catalogue.arguments import KeywordOnly, Kind, choice, real
from specc.catalogue.setting import Postprocess

_Share = Annotated[float, Kind("a number from 0 to 1", real(ge=0, le=1))]


class ThresholdOfAnswers(Postprocess):
    """Say yes where the probability is above `x`. Of several classes the most probable one but class 0 is said where its
    probability is above `x`, and class 0, the background, elsewhere. Without this step yes is above one half, and of
    several classes the most probable one is said."""

    name = "threshold"
    runs = "specc.data.postprocess:Threshold"
    first = True

    x: _Share
    """The probability."""


class LargestRegions(Postprocess):
    """Of the connected regions of every class but 0, give those to the background that have less than `share` times as
    many places as the largest of that class in the sample. Needs scipy: pip install 'specc[medical]'."""

    name = "largest_regions"
    runs = "specc.data.postprocess:LargestRegions"
    spatial = True
    library = "scipy"

    share: _Share
    """How large a region must be; with 1 the largest remains, with any that are as large."""
    _: KeywordOnly
    connectivity: Annotated[str, choice("full", "faces")] = "full"
    """Which places are neighbours: those that touch, at a corner too (8 in a plane, 26 in a volume), or those that share
    a face (4 and 6)."""
