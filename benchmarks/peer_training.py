"""The training loops of the benchmark: plain PyTorch with a DataLoader, Lightning, Keras on torch, and `specc train` itself.

`python benchmarks/peer_training.py KIND MODEL FOLDER EPOCHS BATCH BEGAN` trains on FOLDER/data.npz and prints one line of
JSON: seconds from BEGAN (of the monotonic clock, when the process was started) to the end of the first step, seconds a step
from then on, with the validation of every epoch, and the processor's time of that, which tells more on a busy machine. No
specc in here but where it is what is measured.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

TRAIN = 0.8  # the share that trains; the rest validates


class Clock:
    """The end of the first step and of the last epoch."""

    def __init__(self, began: float) -> None:
        self.began, self.first, self.last, self.steps = began, (0.0, 0.0), (0.0, 0.0), 0

    def stepped(self) -> None:
        self.steps += 1
        if self.steps == 1:
            self.first = time.monotonic(), time.process_time()

    def closed(self) -> None:
        self.last = time.monotonic(), time.process_time()

    def say(self) -> None:
        step, work = ((end - start) / max(self.steps - 1, 1) for start, end in zip(self.first, self.last, strict=True))
        print(json.dumps({"start": self.first[0] - self.began, "step": step, "work": work}))


# ------------------------------------------------------------------------------------------------------------ networks
def network(name: str):
    from torch import nn

    if name == "lenet":
        return nn.Sequential(
            nn.Conv2d(1, 6, 5), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2),
            nn.Conv2d(16, 120, 5), nn.Tanh(), nn.Flatten(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10),
        )  # fmt: skip

    class Basic(nn.Module):
        def __init__(self, inside: int, channels: int, stride: int) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(inside, channels, 3, stride=stride, padding=1, bias=False)
            self.bn1 = nn.BatchNorm2d(channels)
            self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
            self.bn2 = nn.BatchNorm2d(channels)
            self.relu = nn.ReLU()
            self.downsample = None
            if stride != 1 or inside != channels:
                conv = nn.Conv2d(inside, channels, 1, stride=stride, bias=False)
                self.downsample = nn.Sequential(conv, nn.BatchNorm2d(channels))

        def forward(self, x):
            shortcut = x if self.downsample is None else self.downsample(x)
            x = self.relu(self.bn1(self.conv1(x)))
            return self.relu(self.bn2(self.conv2(x)) + shortcut)

    layers: list[nn.Module] = [nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    layers.append(nn.MaxPool2d(3, stride=2, padding=1))
    inside = 64
    for channels, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        layers += [Basic(inside, channels, stride), Basic(channels, channels, 1)]
        inside = channels
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))


def arrays(folder: str):
    """Inputs and classes that train, and those that validate."""
    import numpy as np

    data = np.load(f"{folder}/data.npz")
    x, y = data["image"], data["y"]
    end = round(len(x) * TRAIN)
    return x[:end], y[:end], x[end:], y[end:]


def loaders(folder: str, batch: int):
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    x, y, more, answers = (torch.from_numpy(each) for each in arrays(folder))
    train = DataLoader(TensorDataset(x, y), batch_size=batch, shuffle=True)
    return train, DataLoader(TensorDataset(more, answers), batch_size=256)


# --------------------------------------------------------------------------------------------------------------- loops
def plain(model: str, folder: str, epochs: int, batch: int, clock: Clock) -> None:
    """What one writes by hand."""
    import torch
    from torch.nn import functional as F

    torch.manual_seed(0)
    train, validation = loaders(folder, batch)
    net = network(model)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.001)
    for epoch in range(epochs):
        net.train()
        total, seen = 0.0, 0
        for x, y in train:
            optimizer.zero_grad()
            loss = F.cross_entropy(net(x), y)
            loss.backward()
            optimizer.step()
            total, seen = total + loss.item() * len(y), seen + len(y)
            clock.stepped()
        net.eval()
        cost, right, count = 0.0, 0, 0
        with torch.no_grad():
            for x, y in validation:
                scores = net(x)
                cost += F.cross_entropy(scores, y).item() * len(y)
                right, count = right + int((scores.argmax(1) == y).sum()), count + len(y)
        print(
            f"epoch {epoch + 1} loss {total / seen:.4f} validation {cost / count:.4f} {right / count:.4f}",
            file=sys.stderr,
        )
        clock.closed()


def lightning(model: str, folder: str, epochs: int, batch: int, clock: Clock) -> None:
    import logging

    _mend_torchvision()
    import lightning as L
    import torch
    from torch.nn import functional as F

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)

    class Module(L.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = network(model)

        def training_step(self, batch, at):
            x, y = batch
            loss = F.cross_entropy(self.net(x), y)
            self.log("loss", loss, on_step=False, on_epoch=True)
            return loss

        def validation_step(self, batch, at):
            x, y = batch
            scores = self.net(x)
            self.log("validation_loss", F.cross_entropy(scores, y))
            self.log("accuracy", (scores.argmax(1) == y).float().mean())

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), lr=0.001)

    class Times(L.Callback):
        def on_train_batch_end(self, *given) -> None:
            clock.stepped()

        def on_train_epoch_end(self, *given) -> None:
            clock.closed()

    L.seed_everything(0, verbose=False)
    trainer = L.Trainer(
        max_epochs=epochs, accelerator="cpu", default_root_dir=folder, callbacks=[Times()], enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0, logger=True, enable_checkpointing=True,
    )  # fmt: skip
    trainer.fit(Module(), *loaders(folder, batch))


def _mend_torchvision() -> None:
    """Lightning loads torchvision, which fails where that was built for another torch, unless its operators are declared."""
    try:
        import torchvision  # noqa: F401
    except ImportError:
        return
    except RuntimeError:
        sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
        from reference import models

        models()


def keras(model: str, folder: str, epochs: int, batch: int, clock: Clock) -> None:
    os.environ["KERAS_BACKEND"] = "torch"
    import keras

    assert model == "lenet", "the peer in Keras is LeNet-5"
    keras.utils.set_random_seed(0)
    layers = keras.layers
    first = {"data_format": "channels_first"}
    net = keras.Sequential([
        layers.Input((1, 32, 32)), layers.Conv2D(6, 5, activation="tanh", **first), layers.AveragePooling2D(2, **first),
        layers.Conv2D(16, 5, activation="tanh", **first), layers.AveragePooling2D(2, **first),
        layers.Conv2D(120, 5, activation="tanh", **first), layers.Flatten(), layers.Dense(84, activation="tanh"),
        layers.Dense(10),
    ])  # fmt: skip
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    net.compile(optimizer=keras.optimizers.Adam(0.001), loss=loss, metrics=["accuracy"])

    class Times(keras.callbacks.Callback):
        def on_train_batch_end(self, at, logs=None) -> None:
            clock.stepped()

        def on_epoch_end(self, epoch, logs=None) -> None:
            clock.closed()

    x, y, more, answers = arrays(folder)
    net.fit(
        x, y, batch_size=batch, epochs=epochs, validation_data=(more, answers), validation_batch_size=256,
        callbacks=[Times(), keras.callbacks.ModelCheckpoint(f"{folder}/keras.keras")], verbose=0,
    )  # fmt: skip


def specc(model: str, folder: str, epochs: int, batch: int, clock: Clock) -> None:
    """The whole command, with its run folder, figures, log and checkpoints; its events are timed on their way."""
    from specc.tools.cli import program

    def timed(events, progress) -> None:
        report = progress.Shown.report

        def heard(self, event) -> None:
            report(self, event)
            if isinstance(event, events.Stepped):
                clock.stepped()
            elif isinstance(event, events.EpochDone):
                clock.closed()

        progress.Shown.report = heard

    import specc.tools.progress as progress
    import specc.train.events as events

    timed(events, progress)
    sys.stdout = sys.stderr
    sys.argv = ["specc", "train", f"{folder}/{model}.net", "--out", f"{folder}/runs", "--device", "cpu"]
    sys.argv += ["--set", f"epochs={epochs}", "--set", f"batch={batch}"]
    code = program()
    sys.stdout = sys.__stdout__
    if code:
        sys.exit(code)


LOOPS = {"plain": plain, "lightning": lightning, "keras": keras, "specc": specc}

if __name__ == "__main__":
    kind, model, folder, epochs, batch, began = sys.argv[1:]
    os.chdir(Path(folder))
    clock = Clock(float(began))
    LOOPS[kind](model, folder, int(epochs), int(batch), clock)
    clock.say()
