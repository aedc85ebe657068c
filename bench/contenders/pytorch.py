"""PyTorch's version of the benchmark's workloads: reads one request a line, answers with one line."""

import json
import os
import sys
import time

import torch
import torch.nn.functional as F

LR, MOMENTUM, WEIGHT_DECAY, ATTACK_STEPS = 0.01, 0.9, 1e-4, 10


def read(path, shape):
    with open(path, "rb") as file:
        return torch.frombuffer(bytearray(file.read()), dtype=torch.float32).reshape(shape)


def forward(x, w):
    h = F.max_pool2d(F.relu(F.conv2d(x, w["conv1.0.weight"], w["conv1.0.bias"], padding=2)), 2)
    h = F.max_pool2d(F.relu(F.conv2d(h, w["conv2.0.weight"], w["conv2.0.bias"])), 2)
    h = F.relu(F.linear(h.flatten(1), w["fc_1.0.weight"], w["fc_1.0.bias"]))
    return F.linear(h, w["fc_2.0.weight"], w["fc_2.0.bias"])


class Train:
    def __init__(self, weights, x, y):
        self.w = {name: t.clone().requires_grad_() for name, t in weights.items()}
        self.x, self.y = x, y
        self.sgd = torch.optim.SGD(self.w.values(), lr=LR, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY)

    def run(self, steps):
        losses = []
        for _ in range(steps):
            self.sgd.zero_grad()
            loss = F.cross_entropy(forward(self.x, self.w), self.y)
            loss.backward()
            self.sgd.step()
            losses.append(loss.detach())
        return [float(loss) for loss in losses]


class Attack:
    def __init__(self, weights, x, y, epsilon):
        self.w, self.x, self.y, self.epsilon = weights, x, y, epsilon

    def run(self, steps):
        losses = []
        for i in range(steps):
            if i % ATTACK_STEPS == 0:
                x = self.x.clone()
            x.requires_grad_()
            loss = F.cross_entropy(forward(x, self.w), self.y, reduction="sum")
            (gradient,) = torch.autograd.grad(loss, x)
            with torch.no_grad():
                moved = x - self.epsilon / ATTACK_STEPS * gradient.sign()
                ball = torch.minimum(torch.maximum(moved, self.x - self.epsilon), self.x + self.epsilon)
                x = ball.clamp(0, 1)
            losses.append(loss.detach() / len(x))
        return [float(loss) for loss in losses]


def main():
    runner = None
    torch.set_num_threads(os.cpu_count())
    print(json.dumps({"version": torch.__version__, "threads": torch.get_num_threads()}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        if "prepare" in request:
            weights = {name: read(path, shape) for name, (path, shape) in request["weights"].items()}
            x = read(request["images"], (-1, 1, 28, 28))
            y = read(request["labels"], (-1,)).long()
            made = (weights, x, y)
            runner = Train(*made) if request["prepare"] == "train" else Attack(*made, request["epsilon"])
            print(json.dumps({}), flush=True)
        else:
            started = time.perf_counter()
            losses = runner.run(request["run"])
            print(json.dumps({"losses": losses, "seconds": time.perf_counter() - started}), flush=True)


main()
