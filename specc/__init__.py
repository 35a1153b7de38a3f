"""specc: a compiler for neural networks, from a .net file to checked sizes, PyTorch and ONNX.

For programs that run an exported network:

    from specc import Predictor

    Predictor("digits.onnx").predict("seven.png").label
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from specc.deploy.described import NotOurs
    from specc.deploy.predict import Prediction
    from specc.deploy.providers import NoDevice
    from specc.deploy.runtime import BadInput, Predictor

__all__ = ["BadInput", "NoDevice", "NotOurs", "Prediction", "Predictor", "__version__"]
__version__ = "0.1.0"

_HOMES = {
    "BadInput": "specc.deploy.runtime",
    "NoDevice": "specc.deploy.providers",
    "NotOurs": "specc.deploy.described",
    "Prediction": "specc.deploy.predict",
    "Predictor": "specc.deploy.runtime",
}


def __getattr__(name: str) -> Any:
    """The public names, each imported when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module 'specc' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
