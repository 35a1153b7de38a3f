"""`--set` of a setting: the section as it would read with the other value written in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from specc.catalogue import registry
from specc.model.elaborate.problem import problem
from specc.syntax import tree
from specc.syntax.parse import parse
from specc.text.diagnostics import Bag, SpecError
from specc.text.source import Source, Span


@dataclass(frozen=True, slots=True)
class Edit:
    """Another text for a stretch of a source; an empty stretch is a place to write at."""

    span: Span
    text: str


def changed(section: tree.Section, overrides: Mapping[str, str], bag: Bag) -> tuple[tree.Setting, ...]:
    """The settings of a section with those of `overrides` in their place, and `optimizer.lr 0.1` worked in.

    An empty text leaves a setting out: `--set augment=`.
    """
    settings: list[tree.Setting] = []
    for each in section.settings:
        if "." in each.name and len(each.arguments) == 1 and not each.arguments[0].name:
            _apply(settings, each.name, each.arguments[0].value.span.text, each.name, bag)
        else:
            settings.append(each)
    for key, text in overrides.items():
        if is_setting(key, section.kind):
            _apply(settings, key, text, f"--set {key}", bag)
    return tuple(settings)


def is_setting(key: str, kind: str = "train") -> bool:
    """Whether a key of `--set` names a setting of a section of that kind."""
    return registry.setting(key.partition(".")[0], kind) is not None


def edits(section: tree.Section, overrides: Mapping[str, str], bag: Bag) -> list[Edit]:
    """The same as changes of the text."""
    found: list[Edit] = []
    for key, text in overrides.items():
        if not is_setting(key, section.kind):
            continue
        head = key.partition(".")[0]
        at = [each for each in section.settings if each.name == head]
        found += [Edit(each.span, "") for each in section.settings if each.name == _rival(head, section.kind)]
        try:
            if at and key == head and not text.strip():
                found += [Edit(each.span, "") for each in at]
            elif at:
                found += [Edit(at[-1].span, _rewritten(at[-1], key, text)), *(Edit(each.span, "") for each in at[:-1])]
            elif text.strip():
                end = section.span.end - 1
                found.append(
                    Edit(Span(section.span.source, end, end), f"\n    {_rewritten(None, key, text, section.kind)}\n")
                )
        except SpecError as error:
            bag.add(error.diagnostic)
    return found


def _apply(settings: list[tree.Setting], key: str, text: str, name: str, bag: Bag) -> None:
    head = key.partition(".")[0]
    settings[:] = [each for each in settings if each.name != _rival(head)]
    at = [place for place, each in enumerate(settings) if each.name == head]
    if key == head and not text.strip():
        settings[:] = [each for each in settings if each.name != head]
        return
    try:
        line = _rewritten(settings[at[-1]] if at else None, key, text)
    except SpecError as error:
        bag.add(error.diagnostic)
        return
    file = parse(Source(name, f"train {{ {line} }}\n"), bag)
    fresh = [each for section in file.declarations if isinstance(section, tree.Section) for each in section.settings]
    first = at[0] if at else len(settings)
    settings[:] = [each for place, each in enumerate(settings) if place not in at]
    settings[first:first] = fresh


def _rival(head: str, kind: str = "train") -> str | None:
    """The setting in whose place this one is said."""
    entry = registry.setting(head, kind)
    return (entry.rival or None) if entry is not None else None


def _rewritten(setting: tree.Setting | None, key: str, text: str, kind: str = "train") -> str:
    """The line with another value: of the setting, of an argument of what it holds, or of its own argument."""
    head, _, tail = key.partition(".")
    entry = registry.setting(head, kind)
    if not tail or entry is None:
        return f"{head} {text}"
    if not entry.holds or head == "split":
        others = [each.span.text for each in (setting.arguments if setting else ()) if each.name != tail]
        if setting is None and entry.default:
            others = [entry.default]
        return f"{head} {', '.join([*others, f'{tail}={text}'])}"
    if setting is None:
        if not entry.default:
            raise _no_place(key, head, None)
        return f"{head} {entry.default}({tail}={text})"
    values = [each.value for each in setting.arguments if not each.name]
    value = values[0] if len(values) == 1 else None
    if isinstance(value, tree.Name):
        return f"{head} {value.name}({tail}={text})"
    if not isinstance(value, tree.Call):
        raise _no_place(key, head, setting)
    kept = [each.span.text for each in value.arguments if each.name != tail]
    return f"{head} {value.function.span.text}({', '.join([*kept, f'{tail}={text}'])})"


def _no_place(key: str, head: str, setting: tree.Setting | None) -> SpecError:
    where = setting.span if setting is not None else Span(Source(f"--set {key}", key), 0, len(key))
    return problem("bad-setting", where, f"`{key}` cannot be set: `{head}` is not one call", f"set `{head}` as a whole")
