"""Which bodies are plain chains, each layer on the output of the one before: these become `nn.Sequential`."""

from __future__ import annotations

from specc.backends.torch_home import Tree, plain_module
from specc.backends.torch_names import TAKEN
from specc.backends.torch_plan import Plan
from specc.catalogue.op import Op
from specc.code.nodes import Attribute, Call, Expression, Name
from specc.model.graph import Declared, Frame, Module, Step, Weight


class Chains:
    """Answers for every body once."""

    def __init__(self, plan: Plan, tree: Tree) -> None:
        self.plan = plan
        self.tree = tree
        self._found: dict[int, bool] = {}

    def pure(self, frame: Frame) -> bool:
        """Whether the body says no more than the order of its modules."""
        found = self._found.get(id(frame))
        if found is None:
            found = self._found[id(frame)] = self._pure(frame)
        return found

    def modules(self, frame: Frame) -> list[Module]:
        """The modules of a plain chain in order."""
        found = []
        for item in self.plan.items(frame):
            assert not isinstance(item, Declared)
            assert item.module is not None
            found.append(item.module)
        return found

    def is_class(self, module: Module) -> bool:
        """Whether a module has a class of its own."""
        if module.kind in ("op", "parallel"):
            return False
        return module.kind in ("block", "network") or not self.pure(self.plan.frames[id(module)][0])

    def meeting(self, weight: Weight) -> Module:
        """The innermost class that holds both a shared weight and the one it shares."""
        above = weight.module
        while not self.is_class(above) or (above.path and not weight.tied.startswith(above.path + ".")):
            above = self.tree.parents[id(above)]
        return above

    def _pure(self, frame: Frame) -> bool:
        crossing = self.plan.crossing(frame)
        if (
            frame.module.kind == "parallel"
            or len(crossing.outputs) != 1
            or len(frame.inputs) == 0
            or self._nests(frame)
        ):
            return False
        flow = frame.inputs[0]
        seen: list[Module] = []
        for item in self.plan.items(frame):
            if isinstance(item, Declared) or item.module is None or item.module in seen:
                return False
            made = self._step(item, flow) if isinstance(item, Step) else self._frame(item, flow)
            if made is None:
                return False
            flow = made
            seen.append(item.module)
        inputs = crossing.inputs if seen else crossing.inputs or frame.inputs
        return crossing.outputs[0] == flow and tuple(inputs) == frame.inputs[:1] and self._names_fit(frame, seen)

    def _names_fit(self, frame: Frame, modules: list[Module]) -> bool:
        if not set(map(id, self.tree.children(frame.module))) <= set(map(id, modules)):
            return False
        if frame.module.kind == "network":
            return [each.name for each in modules] == [str(at) for at in range(len(modules))]
        return not any(each.name in TAKEN for each in modules)

    def _step(self, step: Step, flow: int) -> int | None:
        module = step.module
        if module is None or module.step is not step or [self.plan.seen(each) for each in step.inputs] != [flow]:
            return None
        if self.plan.needed.isdisjoint(step.outputs[:1]) or not self.plan.needed.isdisjoint(step.outputs[1:]):
            return None
        node = plain_module(self.plan.model, step)
        if node is None or (step.op.torch.__func__ is not Op.torch and module.weights and not self._only_runs(step)):  # type: ignore[attr-defined]
            return None
        return step.outputs[0]

    def _only_runs(self, step: Step) -> bool:
        """Whether its line in `forward` is the module called on its input, and nothing more."""
        from specc.backends.torch_forward import Tensor

        x = Tensor(Name("x"), self.plan.model.type(step.inputs[0]))
        return step.op.torch(_Probe(self.plan, step), x) == Call(_MODULE, (x.node,))

    def _frame(self, frame: Frame, flow: int) -> int | None:
        if frame.again or frame.module.kind == "parallel":
            return None
        crossing = self.plan.crossing(frame)
        if tuple(crossing.inputs) != (flow,) or len(crossing.outputs) != 1:
            return None
        return crossing.outputs[0]

    def _nests(self, frame: Frame) -> bool:
        """Whether a labelled group holds labelled groups: one in the other they do not read well."""
        inner = [each for each in self.plan.items(frame) if isinstance(each, Frame)]
        return frame.module.record and any(
            each.definition is None and each.module.record and self.pure(each) for each in inner
        )


_MODULE: Expression = Attribute(Name("self"), "module")


class _Probe:
    """A `TorchContext` with just enough to see what an op does with its module."""

    def __init__(self, plan: Plan, step: Step) -> None:
        self.module = _MODULE
        self.types = tuple(plan.model.type(each) for each in step.outputs[:1])
        self.device: Expression | None = None
        self.placed = True

    def run(self, *x: object) -> Expression:
        from specc.code.nodes import call

        return call(_MODULE, *x)

    def weight(self, name: str) -> Expression:
        return Attribute(_MODULE, name)

    def size(self, x: object, axis: int) -> Expression:
        return Name("size")

    def formula(self, size: object) -> Expression:
        return Name("size")

    def function(self, dotted: str, *x: object, **keywords: object) -> Expression:
        from specc.code.nodes import call

        return call(dotted, *x, **keywords)

    def method(self, x: object, name: str, *arguments: object, **keywords: object) -> Expression:
        from specc.code.nodes import method, value

        return method(value(x), name, *arguments, **keywords)

    def support(self, name: str) -> Expression:
        return Name(name)
