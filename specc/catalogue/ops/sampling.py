"""Reading an image at places that another tensor says."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

from specc.catalogue.arguments import Flag, KeywordOnly, choice
from specc.catalogue.axes import equal
from specc.catalogue.axes import shape as spelled
from specc.catalogue.entry import Case, Misfit, Wrong
from specc.catalogue.op import EVERYTHING, Op, Rule, TensorType
from specc.code.nodes import value

if TYPE_CHECKING:
    from specc.catalogue.lowering import OnnxGraph, OnnxValue, TorchContext, TorchValue
    from specc.code.nodes import Expression

LINEAR, NEAREST = "linear", "nearest"


class GridSample(Op):
    """The image [C, H, W] read at each place of a grid [H', W', 2], whose numbers are x and y from -1 (left, top) to 1
    (right, bottom): `image -> grid_sample(grid)` makes [C, H', W'] (Jaderberg et al. 2015, spatial transformer). A volume
    [C, D, H, W] takes a grid [D', H', W', 3] of x, y and z."""

    name = "grid_sample"
    takes = "c *d; *"
    layout = "first"
    inputs = (2, 2)

    _: KeywordOnly
    mode: Annotated[str, choice(LINEAR, NEAREST)] = LINEAR
    """Between places: straight lines in every direction (bilinear, trilinear), or the nearest place (of two the even
    one)."""
    padding: Annotated[str, choice("zeros", "border", "reflection")] = "zeros"
    """What is read outside: 0, the edge, or the image mirrored at its edge."""
    align_corners: Flag = False
    """Whether -1 and 1 are the middles of the first and last places, instead of their outer edges."""

    cases = (
        Case("grid_sample(x, y)", "[3, 5, 6]; [4, 7, 2] -> [3, 4, 7]"),
        Case("x -> grid_sample(y, mode=nearest)", "[3, H, W]; [4, 7, 2] -> [3, 4, 7]"),
        Case("grid_sample(x, 2 * y, padding=border)", "[3, H, W]; [A, B, 2] -> [3, A, B]"),
        Case("grid_sample(x, 3 * y, padding=reflection)", "[3, 5, 6]; [A, B, 2] -> [3, A, B]"),
        Case("grid_sample(x, 3 * y, padding=reflection, align_corners=true)", "[3, 5, 6]; [4, 7, 2] -> [3, 4, 7]"),
        Case("grid_sample(x, 2 * y, mode=nearest, padding=border)", "[C, 5, 6]; [4, 7, 2] -> [C, 4, 7]"),
        Case("grid_sample(x, 2 * y, align_corners=true)", "[3, 5, 6]; [4, 7, 2] -> [3, 4, 7]"),
        Case("grid_sample(x, 2 * y)", "[3, D, 5, 6]; [A, 2, 4, 3] -> [3, A, 2, 4]"),
        Case("grid_sample(x, 3 * y, mode=nearest, padding=reflection)", "[3, 4, 5, 6]; [2, 3, 4, 3] -> [3, 2, 3, 4]"),
        Case("grid_sample(x, y, padding=border, align_corners=true)", "[3, 4, 5, 6]; [2, 3, 4, 3] -> [3, 2, 3, 4]"),
        Wrong("grid_sample", "[3, 5, 6]", "missing-input"),
        Wrong("grid_sample(x, y)", "[3, 5, 6];[4, 7, 3]", "shape-mismatch"),
        Wrong("grid_sample(x, y)", "[3, 5, 6];[4, 2]", "wrong-rank"),
        Wrong("grid_sample(x, y)", "[3, 5];[4, 1]", "wrong-rank"),
        Wrong("grid_sample(x, y)", "[3, 5, 6, 7];[4, 7, 2]", "wrong-rank"),
        Wrong("grid_sample(x, y, mode=cubic)", "[3, 5, 6];[4, 7, 2]", "unknown-name", at="mode"),
    )

    def rules(self, *x: TensorType, **named: TensorType) -> Iterable[Rule]:
        image, grid = x
        if image.rank == 2:
            message = f"`{self.name}` reads images and volumes; this tensor has shape {spelled(image.shape)}"
            raise Misfit("wrong-rank", message)
        axes = image.rank - 1
        message = f"the grid has shape {spelled(grid.shape)}; it must have {axes} axes, and behind them {axes} numbers"
        if grid.rank != image.rank:
            raise Misfit("wrong-rank", message, port=1)
        yield from equal(grid.last, axes, Misfit("shape-mismatch", message, port=1))

    def gives(self, *x: TensorType, **named: TensorType) -> TensorType:
        return x[0].to(x[0].channels, *x[1].shape[:-1])

    def reach(self, *x: TensorType) -> str:
        return EVERYTHING

    def torch(self, t: TorchContext, *x: TorchValue, **named: TorchValue) -> Expression:
        words: dict[str, Any] = {} if self.mode == LINEAR else {"mode": value(self.mode)}
        words |= {} if self.padding == "zeros" else {"padding_mode": value(self.padding)}
        # the default is written out, because PyTorch warns where it is not
        return t.function("F.grid_sample", *x, **words, align_corners=value(self.align_corners))

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        words: dict[str, Any] = {"mode": self.mode, "padding_mode": self.padding}
        return g.node("GridSample", *x, **words, align_corners=int(self.align_corners))  # type: ignore[no-any-return]
