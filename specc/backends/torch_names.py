"""Names in generated modules: of classes, of attributes and how they are reached, and of tensors in `forward`."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable

UNCLEAR = frozenset("lOI")  # PEP 8: not to be told from 1 and 0
RESERVED_CLASSES = frozenset({"F", "Module", "OrderedDict", "Tensor", "math", "nn", "torch"})
RESERVED_TENSORS = frozenset({"F", "OrderedDict", "logits", "math", "nn", "self", "torch"})
CALLED = frozenset({"abs", "float", "int", "len", "max", "min", "range", "round", "sum", "super"})  # by generated code
# What nn.Module and its containers have already: an attribute of that name cannot be reached with a dot.
TAKEN = frozenset(
    re.findall(
        r"\w+",
        """
        T_destination add_module append apply buffers call_super_init check children clear compile cpu cuda double
        dump_patches eval extend extra_repr float forward get_buffer get_extra_state get_parameter get_submodule half
        insert ipu items keys load_state_dict logits modules mtia named_buffers named_children named_modules
        named_parameters parameters pop register_backward_hook register_buffer register_forward_hook
        register_forward_pre_hook register_full_backward_hook register_full_backward_pre_hook
        register_load_state_dict_post_hook register_load_state_dict_pre_hook register_module register_parameter
        register_state_dict_post_hook register_state_dict_pre_hook requires_grad_ set_extra_state set_submodule
        share_memory state_dict to to_empty train training type update values xpu zero_grad
        """,
    )
)


def plain(name: str) -> bool:
    """Whether `self.name` can be written."""
    return name.isidentifier() and not keyword.iskeyword(name) and name not in TAKEN and not name.startswith("__")


def camel(name: str) -> str:
    """A label as a class name: `down_path` is DownPath, "block1-0" Block10; "" if nothing is left of it."""
    words = re.findall(r"[^\W_]+", name)
    found = "".join(word[:1].upper() + word[1:] for word in words)
    return found if found and not found[0].isdigit() else ""


def unused(name: str, taken: Iterable[str]) -> str:
    """The name, or the first of name2, name3 … that is free."""
    seen = set(taken)
    found, number = name, 2
    while found in seen:
        found = f"{name}{number}"
        number += 1
    return found


def variable(name: str) -> str:
    """A label as the name of a tensor in `forward`; "" if it cannot be one."""
    found = re.sub(r"\W", "_", name).strip("_")
    found = f"{found}_" if found in CALLED else found
    return found if found.isidentifier() and not keyword.iskeyword(found) and found not in UNCLEAR else ""
