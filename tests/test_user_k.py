"""What writing volumes, point clouds, graphs and generative networks as specs brought to light."""

from itertools import product as product_of
from random import Random

import pytest
import torch
from proved import built, compiled, exported, hold, source
from torch import nn
from torch.nn import functional as F

from specc.backends.pytorch import write
from specc.compiler import compile_text
from specc.data.project import open_spec
from specc.deploy.proof import prove
from specc.model.graph import Model
from specc.sizes.conditions import NEVER, Proved, admissible, compare, decide, examples, holds
from specc.sizes.dim import Size, product, symbol

H, W = symbol("H"), symbol("W")
EVEN = [compare(2 * ((n + 1) // 2), "==", n) for n in (H, W)]


# ------------------------------------------------------------------------------------------------------------- sizes
def test_a_joint_condition_that_follows_from_single_ones_is_none() -> None:
    found = admissible([*EVEN, compare(H * W, ">=", 2)])
    assert [(each.symbols, each.text) for each in found] == [
        (("H",), "H is even, at least 2"),
        (("W",), "W is even, at least 2"),
    ]


def test_a_joint_condition_that_does_not_follow_stays_and_all_of_them_are_exact() -> None:
    for least in (4, 5, 6):
        predicates = [*EVEN, compare(H * W, ">=", least)]
        found = admissible(predicates)
        texts = ["H is even, at least 2", "W is even, at least 2", *([] if least == 4 else [f"H*W >= {least}"])]
        assert [each.text for each in found] == texts
        for h in range(1, 8):
            for w in range(1, 8):
                sizes = {"H": h, "W": w}
                by_hand = h % 2 == 0 and w % 2 == 0 and h * w >= least
                assert all(holds(each.predicate, sizes) for each in found) is by_hand, sizes


def test_a_joint_condition_against_single_ones_leaves_no_size() -> None:
    (found,) = admissible([*EVEN, compare(H * W, "<=", 3)])
    assert found.empty
    assert found.symbols == ("H", "W")
    multiples = [compare(n % 8, "==", 0) for n in (H, W, symbol("D"))]
    assert decide(compare(product((H, W, symbol("D"))), ">=", 2), multiples) == Proved()
    assert decide(NEVER, multiples) != Proved()


def some_size(random: Random) -> Size:
    name, number = random.choice([H, W, symbol("D")]), random.choice([2, 3, 4])
    area, rounded = (H // 2) * (W // 2), (name + number - 1) // number
    shifted = name + random.randint(-3, 3)
    return random.choice([name, name // number, rounded, name % number, H * W, area, shifted, random.randint(0, 9)])


@pytest.mark.parametrize("seed", range(4))
def test_conditions_and_examples_are_those_of_trying_all_sizes(seed: int) -> None:
    random = Random(seed)
    for _ in range(60):
        predicates = [
            compare(some_size(random), random.choice(["==", ">=", "<=", "!="]), some_size(random))
            for _ in range(random.randint(2, 4))
        ]
        conditions = admissible(predicates)
        for tried in product_of(range(1, 6), repeat=3):
            sizes = dict(zip("DHW", tried, strict=True))
            wanted = all(holds(each, sizes) for each in predicates)
            assert all(not each.empty and holds(each.predicate, sizes) for each in conditions) is wanted, predicates
        for sizes in examples(predicates, symbols=("D", "H", "W")):
            assert all(holds(each, sizes) for each in predicates), (predicates, sizes)


UP_AGAIN = """
block Places: [C, H, W] -> [C, H, W] {
    rearrange("c h w -> (h w) c")
    fc: linear(C)
    rearrange("(h w) c -> c h w", h=H)
}
network N {
    input x: [4, H, W]
    conv(4, 3, stride=2, padding=1)
    Places
    interpolate(scale=2) as up
    last: up + x
}
expect valid when H % 2 == 0 and W % 2 == 0
"""


def test_sizes_among_arguments_are_written_as_those_of_the_tensors() -> None:
    """`h=(H + 1)//2` is `H//2` as soon as H is known to be even."""
    hold(compiled(UP_AGAIN), {"H": 6, "W": 8})


# ---------------------------------------------------------------------------------------------------------- emission
def test_a_stored_number_is_read_as_one() -> None:
    text = "network Scaled {\n input x: [3, N]\n parameter eps: [], stored=[1], init=ones\n (1 + eps) * x\n}\n"
    module = hold(compiled(text), {"N": 5})
    assert list(module.state_dict()["eps"].shape) == [1]


def test_what_has_a_name_in_the_spec_has_it_in_pytorch() -> None:
    lines = (
        "transpose(input, 0, 1) as points\nsum(points, axis=1) as total\nrelu(points) -> linear(3) -> tanh as made\n"
    )
    text = source(lines + "made + points * unsqueeze(total, 1)", "[3, P]")
    assert "points = input.transpose(1, 2)" in text
    assert "total = points.sum(dim=2)" in text


ONLY_IN_TRAINING = """
block Skew: [C, C] -> [] { sum((matmul(input, transpose(input, 0, 1)) - eye(C)) ** 2) }
network N {
    input x: [3, 3]
    fc: linear(3)
    output skew: fc -> Skew when training
    output found: fc
}
"""


def test_a_block_that_only_training_uses_does_not_ask_whether_this_is_training() -> None:
    text = write(compiled(ONLY_IN_TRAINING))
    inside = text[text.index("class Skew") : text.index("class N")]
    assert "training" not in inside
    assert "training" in text
    module = built(compiled(ONLY_IN_TRAINING)).train()
    x = torch.randn(2, 3, 3)
    y = module.fc(x)
    wanted = ((y @ y.mT - torch.eye(3)) ** 2).sum((1, 2))
    torch.testing.assert_close(module.logits(x)["skew"], wanted)


NEIGHBOURS = """
network Near {
    input at: [N, 3]
    input near: int [N, 4]
    gather(at, near) - unsqueeze(at, 1)
    max(axis=1)
}
"""


def test_indices_of_a_proof_lie_within_what_they_index(tmp_path) -> None:  # type: ignore[no-untyped-def]
    """A proof tries N = 1 too, where 1 is no place."""
    model = compiled(NEIGHBOURS)
    module = built(model)
    prove(model, exported(model, module, tmp_path / "n.onnx"), module)


# ------------------------------------------------------------------------------------------------------- point clouds
def published(path: str, name: str) -> Model:
    project = open_spec(path)
    return compile_text(project.text, project.name, read=project.read).models[name]


def varied(module: nn.Module) -> nn.Module:
    torch.manual_seed(1)
    for key, value in module.state_dict().items():
        if key.endswith("running_mean"):
            value.normal_(0, 0.3)
        elif key.endswith("running_var"):
            value.uniform_(0.5, 1.5)
    return module.eval()


def unit(channels: int, made: int, rank: int) -> nn.Sequential:
    conv, norm = (nn.Conv2d, nn.BatchNorm2d) if rank == 2 else (nn.Conv1d, nn.BatchNorm1d)
    return nn.Sequential(conv(channels, made, 1, bias=False), norm(made), nn.LeakyReLU(0.2))


class DGCNN(nn.Module):
    """By hand from Figure 3 of arXiv:1801.07829, with distances by `torch.cdist` and neighbours one sample at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = unit(6, 64, 2), unit(128, 64, 2)
        self.conv3, self.conv4, self.conv5 = unit(128, 128, 2), unit(256, 256, 2), unit(512, 1024, 1)
        self.linear1, self.bn6 = nn.Linear(2048, 512, bias=False), nn.BatchNorm1d(512)
        self.linear2, self.bn7 = nn.Linear(512, 256), nn.BatchNorm1d(256)
        self.linear3 = nn.Linear(256, 40)

    def edges(self, x: torch.Tensor) -> torch.Tensor:
        made = []
        for points in x.mT:
            nearest = torch.cdist(points, points).topk(20, largest=False).indices
            here = points[:, None].expand(-1, 20, -1)
            made.append(torch.cat((points[nearest] - here, here), 2).permute(2, 0, 1))
        return torch.stack(made)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        seen = []
        for conv in (self.conv1, self.conv2, self.conv3, self.conv4):
            x = conv(self.edges(x)).amax(3)
            seen.append(x)
        x = self.conv5(torch.cat(seen, 1))
        x = torch.cat((x.amax(2), x.mean(2)), 1)
        x = F.leaky_relu(self.bn6(self.linear1(x)), 0.2)
        x = F.leaky_relu(self.bn7(self.linear2(x)), 0.2)
        return F.softmax(self.linear3(x), dim=1)


def test_dgcnn_is_the_one_by_hand() -> None:
    reference = varied(DGCNN())
    module = built(published("specs/dgcnn.net", "DGCNN"))
    assert list(module.state_dict()) == list(reference.state_dict())
    module.load_state_dict(reference.state_dict())
    for points in (20, 33):
        x = torch.randn(2, 3, points)
        torch.testing.assert_close(module(x), reference(x), rtol=1e-5, atol=1e-6)


def test_pointnet_does_not_care_in_which_order_the_points_come() -> None:
    module = built(published("specs/pointnet.net", "Classifier"))
    parts = built(published("specs/pointnet.net", "Parts"))
    x, order = torch.randn(2, 3, 17), torch.randperm(17)
    torch.testing.assert_close(module(x[:, :, order]), module(x))
    torch.testing.assert_close(parts(x[:, :, order]), parts(x)[:, :, order])
