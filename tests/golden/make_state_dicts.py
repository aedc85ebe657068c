"""Writes lightning.ckpt, averaged.pth and state_dicts.json beside this file, with PyTorch 1.13 and torchvision.

A ResNet-18 of torchvision with one channel in its first stage, its stem for small images, as two trainers keep it: both files
hold the same numbers, which every type of them holds exactly.

    python3 tests/golden/make_state_dicts.py
"""

import json
import os
from collections import OrderedDict

import torch
from torch import nn
from torchvision.models.resnet import BasicBlock

here = os.path.dirname(os.path.abspath(__file__))
torch.manual_seed(0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 1, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(1)
        inputs = 1
        for stage, stride in enumerate([1, 2, 2, 2]):
            outputs = 2**stage
            shape_changes = stride != 1 or inputs != outputs
            branch = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
            blocks = [BasicBlock(inputs, outputs, stride, branch if shape_changes else None), BasicBlock(outputs, outputs)]
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
            inputs = outputs
        self.fc = nn.Linear(inputs, 10)

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        for stage in range(4):
            x = getattr(self, f"layer{stage + 1}")(x)
        return self.fc(x.mean((2, 3)))


net = Net().eval()
with torch.no_grad():
    for name, value in net.state_dict().items():
        if not value.is_floating_point():
            value.fill_(7)
            continue
        noise = torch.randint(-7, 8, value.shape).float() / 8
        # A few bits each, so that halves of either kind hold them.
        value.copy_(1 + noise / 4 if name.endswith(("running_var", "bn1.weight", "bn2.weight")) else noise)
state = net.state_dict()

types = [torch.float16, torch.bfloat16, torch.float64, torch.float32]


def stored(i, value):
    """In one type or another, a convolution's filters with their channels last, a matrix transposed."""
    if not value.is_floating_point():
        return value
    value = value.to(types[i % 4])
    if value.dim() == 4:
        return value.contiguous(memory_format=torch.channels_last)
    return value.t().contiguous().t() if value.dim() == 2 else value


optimizer = torch.optim.SGD([next(net.parameters())], lr=0.1, momentum=0.9)
next(net.parameters()).grad = torch.ones_like(next(net.parameters()))
wrapped = OrderedDict((f"model._orig_mod.{name}", stored(i, value)) for i, (name, value) in enumerate(state.items()))
lightning = {
    "epoch": 1,
    "pytorch-lightning_version": "2.0.0",
    "state_dict": wrapped,
    "callbacks": {"ModelCheckpoint": {"best_model_score": torch.tensor(0.5), "best_model_path": "best.ckpt"}},
    "optimizer_states": [optimizer.state_dict()],
    "hyper_parameters": {"lr": 0.1},
}
torch.save(lightning, os.path.join(here, "lightning.ckpt"))

# Every array is a slice of one storage, from the fourth number on.
flat = torch.cat([torch.zeros(3)] + [value.reshape(-1).float() for value in state.values()])
sliced, at = OrderedDict(n_averaged=torch.tensor(5)), 3
for name, value in state.items():
    part = flat[at : at + value.numel()].view(value.shape)
    sliced[f"module.{name}"] = part if value.is_floating_point() else value
    at += value.numel()
averaged = {"net": sliced, "acc": 98.5, "epoch": 3, "rng": torch.get_rng_state()[:8]}
torch.save(averaged, os.path.join(here, "averaged.pth"), _use_new_zipfile_serialization=False)

# An image that both sides can make: rows and columns counted in sixteenths.
image = torch.tensor([[(3 * i + 5 * j) % 17 / 16 for j in range(28)] for i in range(28)], dtype=torch.float64)
with torch.no_grad():
    logits = net.double()(image.view(1, 1, 28, 28))
with open(os.path.join(here, "state_dicts.json"), "w") as file:
    json.dump({"logits": logits[0].tolist(), "arrays": len(state)}, file, indent=2)
    file.write("\n")
