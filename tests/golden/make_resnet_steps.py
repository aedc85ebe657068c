"""Writes resnet_steps.json beside this file: twenty training steps of ResNet-18 at full width, by PyTorch.

    python3 tests/golden/make_resnet_steps.py ../shared/data/cifar-10-batches-bin

Step i learns from records 8 i to 8 i + 7 of data_batch_1.bin, pixels in 0 to 1, not augmented: SGD at 3e-4 with
momentum 0.9 and weight decay 1e-4. The j-th array that has an initial spread (the convolutions in PyTorch's order,
then weight and bias of the linear layer) holds at flat index i (2 (s - floor s) - 1) / sqrt(fan-in) for
s = 43758.5453 sin(12.9898 i + 78.233 j) in f64, rounded to f32; scales are 1, offsets and running means 0.

`losses` are computed in f64, `losses32` in f32: how far apart two right programs come. ReLUs flip within the
precision of f32, and eight images amplify what follows: at the paper's rate of 0.01 the two differ by 5e-3 in
the third step, at 3e-4 by 2e-3 in the seventh.
"""

import json
import os
import sys

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

steps, batch, width, rate = 20, 8, 64, 3e-4


def conv(inputs, outputs, side, stride):
    return nn.Conv2d(inputs, outputs, side, stride, side // 2, bias=False)


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1, self.bn1 = conv(inputs, outputs, 3, stride), nn.BatchNorm2d(outputs)
        self.conv2, self.bn2 = conv(outputs, outputs, 3, 1), nn.BatchNorm2d(outputs)
        same = stride == 1 and inputs == outputs
        self.branch = None if same else nn.Sequential(conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (x if self.branch is None else self.branch(x)))


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.norm = conv(3, width, 3, 1), nn.BatchNorm2d(width)
        sizes = [width * 2**i for i in range(4)]
        blocks, channels = [], width
        for outputs, stride in zip(sizes, [1, 2, 2, 2]):
            blocks += [Block(channels, outputs, stride), Block(outputs, outputs, 1)]
            channels = outputs
        self.blocks, self.linear = nn.Sequential(*blocks), nn.Linear(channels, 10)

    def forward(self, x):
        return self.linear(self.blocks(F.relu(self.norm(self.stem(x)))).mean((2, 3)))


def start(model):
    drawn = [p for n, p in model.named_parameters() if p.dim() > 1 or n == "linear.bias"]
    fan_in = 0
    for j, parameter in enumerate(drawn):
        if parameter.dim() > 1:
            fan_in = int(np.prod(parameter.shape[1:]))
        s = 43758.5453 * np.sin(12.9898 * np.arange(parameter.numel()) + 78.233 * j)
        values = ((2 * (s - np.floor(s)) - 1) / np.sqrt(fan_in)).astype(np.float32)
        parameter.data.copy_(torch.from_numpy(values).reshape(parameter.shape))


def losses(dtype, images, labels):
    model = ResNet()
    start(model)
    model.to(dtype).train()
    optimiser = torch.optim.SGD(model.parameters(), rate, momentum=0.9, weight_decay=1e-4)
    found = []
    for i in range(steps):
        part = slice(batch * i, batch * (i + 1))
        loss = F.cross_entropy(model((images[part].float() / 255).to(dtype)), labels[part])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        found.append(round(loss.item(), 7))
    return found


records = np.fromfile(os.path.join(sys.argv[1], "data_batch_1.bin"), np.uint8, steps * batch * 3073).reshape(-1, 3073)
images = torch.from_numpy(records[:, 1:].reshape(-1, 3, 32, 32).copy())
labels = torch.from_numpy(records[:, 0].astype(np.int64))
made = {"torch": torch.__version__.split("+")[0], "steps": steps, "batch": batch, "width": width, "rate": rate}
made["losses"] = losses(torch.float64, images, labels)
made["losses32"] = losses(torch.float32, images, labels)
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "resnet_steps.json"), "w") as file:
    file.write(json.dumps(made) + "\n")
