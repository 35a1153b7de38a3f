"""Settings that the language knows and this version does not have yet: they are refused by name, never ignored."""

from __future__ import annotations

LATER: dict[str, tuple[str, ...]] = {
    "train": ("augment", "rates", "steps", "average", "precision", "freeze", "postprocess", "sweep"),
    "source": ( "pairs", "synthetic", "python"),
    "loss": ("discriminative",),
    "optimizer": ("rmsprop", "adagrad", "lbfgs"),
    "schedule": ("multistep", "plateau", "polynomial", "inverse", "onecycle", "table"),
    "metric": ("precision", "recall", "auc", "dice", "iou", "hausdorff", "assd"),
    "export": ("prepare", "postprocess"),
}
