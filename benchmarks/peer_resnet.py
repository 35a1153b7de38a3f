"""ResNet-50 in plain PyTorch, as the peers of the benchmarks build it: no specc in here."""

from __future__ import annotations

import sys

import torch
from torch import Tensor, nn


class Bottleneck(nn.Module):
    def __init__(self, inside: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, 4 * channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * channels)
        self.relu = nn.ReLU()
        self.downsample = None
        if stride != 1 or inside != 4 * channels:
            conv = nn.Conv2d(inside, 4 * channels, 1, stride=stride, bias=False)
            self.downsample = nn.Sequential(conv, nn.BatchNorm2d(4 * channels))

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        return self.relu(self.bn3(self.conv3(x)) + shortcut)


class ResNet50(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        inside = 64
        for at, (channels, depth, stride) in enumerate([(64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)], 1):
            units = []
            for unit in range(depth):
                units.append(Bottleneck(inside, channels, stride if unit == 0 else 1))
                inside = 4 * channels
            setattr(self, f"layer{at}", nn.Sequential(*units))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(2048, 1000)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1)).softmax(1)


def summarise() -> None:
    """What a PyTorch user runs to see the table."""
    from torchinfo import summary

    print(summary(ResNet50(), input_size=(1, 3, 224, 224), verbose=0))


def export(weights: str, path: str) -> None:
    """What a PyTorch user runs to get ONNX: load the weights, trace, write."""
    from safetensors.torch import load_file

    network = ResNet50().eval()
    network.load_state_dict(load_file(weights))
    batch = torch.export.Dim("batch")
    torch.onnx.export(
        network, (torch.zeros(2, 3, 224, 224),), path, dynamo=True, verbose=False, external_data=True,
        dynamic_shapes={"x": {0: batch}},
    )  # fmt: skip


def save(path: str) -> None:
    """Seeded weights for both sides."""
    from safetensors.torch import save_file

    torch.manual_seed(0)
    save_file(ResNet50().state_dict(), path)


if __name__ == "__main__":
    {"summarise": summarise, "export": export, "save": save}[sys.argv[1]](*sys.argv[2:])
