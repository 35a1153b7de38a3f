"""The setting `split`: shares by name, and by position what deals the samples into parts instead."""

from __future__ import annotations

from specc.catalogue.setting import Setting
from specc.model.elaborate.entries import Entries, find
from specc.model.elaborate.problem import problem
from specc.model.program import Chosen
from specc.syntax import tree


def dealt(entries: Entries, kind: type[Setting], line: tree.Setting) -> tuple[Chosen, Chosen | None]:
    """The setting with its shares, and the folds or the file that it names; raises SpecError where they do not go."""
    named = tuple(each for each in line.arguments if each.name)
    by_position = [each.value for each in line.arguments if not each.name]
    if len(by_position) > 1:
        raise problem("too-many-arguments", by_position[1].span, "`split` takes one way to split data")
    own = entries.entry(kind, named, line.span)
    if not by_position:
        if "fold" in own.places:
            message = "there are no folds, so `fold=` says nothing"
            raise problem("setting-conflict", own.place("fold"), message, "write `split kfold(5), fold=1`")
        return own, None
    node = by_position[0]
    if isinstance(node, tree.Text):
        node = tree.Call(node.span, tree.Name(node.span, "file"), (tree.Argument(node.span, "", node),))
        found = entries.entry(find("file", kind.holds, node.span), node.arguments, node.span)
    else:
        found = entries.value(node, kind.holds)
    for name in ("train", "test"):
        if name in own.places:
            message = f"`{found.entry.name}` says which samples test, so `{name}=` cannot"
            raise problem("setting-conflict", own.place(name), message, "only `validation=` goes with it")
    for name in ("group", "stratify"):
        if name in own.places and name in type(found.entry).fields:
            where = f"{found.entry.name}(…, {name}=…)"
            raise problem("setting-conflict", own.place(name), f"`{name}=` belongs into `{found.entry.name}`", where)
    if "n" in type(found.entry).fields and own.entry.fold > found.entry.n:
        message = f"there is no fold {own.entry.fold} of {found.entry.n}"
        raise problem("bad-argument", own.place("fold"), message, f"folds are numbered from 1 to {found.entry.n}")
    return own, found
