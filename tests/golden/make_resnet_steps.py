"""Writes resnet_steps.json beside this file: training steps of ResNet-18 on real images, by PyTorch.

    python3 tests/golden/make_resnet_steps.py ../shared/data/cifar-10-batches-bin

The plain network at full width, SNGP's and DUE's at a width of 8. Step i of batches of B learns from records B i to
B i + B - 1 of data_batch_1.bin, pixels in 0 to 1, not augmented: SGD with momentum 0.9 and weight decay 1e-4. Weights
are those of `formula()`, by the arrays' names in alphabetical order; so is the noise that DUE's functions are sampled by.

`losses` are computed in f64, `losses32` in f32: how far apart two right programs come. ReLUs flip within the
precision of f32, and small batches amplify what follows; at the paper's rate of 0.01 the plain network's differ by
5e-3 in the third step, at 3e-4 by 2e-3 in the seventh.
"""

import json
import os
import sys
from math import expm1, log, pi

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

classes, points, samples, coeff = 10, 10, 10, 3


def noise(n, j):
    """Numbers of mean 0 and variance 1, in f64."""
    s = 43758.5453 * np.sin(12.9898 * np.arange(n) + 78.233 * j)
    return np.sqrt(3) * (2 * (s - np.floor(s)) - 1)


def formula(name, shape, j):
    w = noise(int(np.prod(shape)), j)
    kind = name.split(".")[-1]
    if kind in ("weight_u", "weight_v"):
        return w / np.sqrt((w**2).sum())
    if kind in ("weight_sigma", "running_var"):
        return np.ones_like(w)
    if kind == "running_mean":
        return 0 * w
    if kind == "raw_lengthscale":
        return 0 * w + log(expm1(3.5))
    if kind == "chol_variational_covar":
        return np.eye(points).reshape(1, -1).repeat(classes, 0).ravel() + 0.1 * w
    if kind == "precision_matrix":
        return np.eye(shape[0]).ravel()
    if kind == "random_matrix":
        return 0.05 * w
    if name == "rff.W":
        return w
    if name == "rff.b":
        return pi * (1 + w / np.sqrt(3))
    if kind == "bias":
        return 0.1 * w
    if len(shape) == 1:
        return 1 + 0.1 * w
    return w * np.sqrt(1 / np.prod(shape[1:]))


def unit(x):
    return x / x.norm()


class SpectralConv(nn.Module):
    """Of side 1 the matrix is normalised, else the operator on images of the given side."""

    def __init__(self, inputs, outputs, kernel, stride, side):
        super().__init__()
        self.kernel, self.stride, self.side = kernel, stride, side
        self.weight_orig = nn.Parameter(torch.zeros(outputs, inputs, kernel, kernel))
        after = [] if kernel == 1 else [-(-side // stride)] * 2
        before = [] if kernel == 1 else [side] * 2
        self.register_buffer("weight_u", torch.zeros(1, outputs, *after))
        self.register_buffer("weight_v", torch.zeros(1, inputs, *before))
        self.register_buffer("weight_sigma", torch.ones(1))

    def apply_to(self, v):
        w = self.weight_orig
        return v @ w.flatten(1).t() if self.kernel == 1 else F.conv2d(v, w, None, self.stride, 1)

    def adjoint(self, u):
        w = self.weight_orig
        if self.kernel == 1:
            return u @ w.flatten(1)
        return F.conv_transpose2d(u, w, None, self.stride, 1, output_padding=(self.side - 1) % self.stride)

    def forward(self, x):
        with torch.no_grad():
            self.weight_v = unit(self.adjoint(self.weight_u))
            self.weight_u = unit(self.apply_to(self.weight_v))
        sigma = (self.weight_u * self.apply_to(self.weight_v)).sum()
        w = self.weight_orig / torch.clamp(sigma / coeff, min=1)
        return F.conv2d(x, w, None, self.stride, self.kernel // 2)


class SpectralNorm(nn.BatchNorm2d):
    def forward(self, x):
        spread = torch.sqrt(x.var((0, 2, 3), unbiased=False) + self.eps)
        scale = self.weight / torch.clamp((self.weight.abs() / spread).max() / coeff, min=1)
        each = lambda of: of[:, None, None]
        return (x - each(x.mean((0, 2, 3)))) * each(scale / spread) + each(self.bias)


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride, side, spectral):
        super().__init__()
        norm = SpectralNorm if spectral else nn.BatchNorm2d

        def conv(inputs, kernel, stride, side):
            if spectral:
                return SpectralConv(inputs, outputs, kernel, stride, side)
            return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)

        self.conv1, self.bn1 = conv(inputs, 3, stride, side), norm(outputs)
        self.conv2, self.bn2 = conv(outputs, 3, 1, -(-side // stride)), norm(outputs)
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(conv(inputs, 1, stride, side), norm(outputs))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (self.shortcut(x) if hasattr(self, "shortcut") else x))


class Encoder(nn.Module):
    def __init__(self, width, spectral):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        channels, side = width, 32
        for i, stride in enumerate([1, 2, 2, 2]):
            outputs, after = width * 2**i, -(-side // stride)
            first = Block(channels, outputs, stride, side, spectral)
            setattr(self, f"layer{i + 1}", nn.Sequential(first, Block(outputs, outputs, 1, after, spectral)))
            channels, side = outputs, after

    def features(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        for i in range(4):
            x = getattr(self, f"layer{i + 1}")(x)
        return x.mean((2, 3))


class Baseline(Encoder):
    def __init__(self, width):
        super().__init__(width, False)
        self.linear = nn.Linear(8 * width, classes)

    def loss(self, x, y, step):
        return F.cross_entropy(self.linear(self.features(x)), y)


class Sngp(nn.Module):
    def __init__(self, width):
        super().__init__()
        d = max(256, 8 * width)
        self.feature_extractor, self.normalize = Encoder(width, True), nn.LayerNorm(d)
        self.beta, self.rff = nn.Linear(d, classes), nn.Module()
        self.register_buffer("random_matrix", torch.zeros(d, 8 * width))
        self.rff.register_buffer("W", torch.zeros(d, d))
        self.rff.register_buffer("b", torch.zeros(d))
        # Nothing here looks at it, but it has its place among the names.
        self.register_buffer("precision_matrix", torch.zeros(d, d))

    def loss(self, x, y, step):
        h = self.normalize(self.feature_extractor.features(x) @ self.random_matrix.t())
        return F.cross_entropy(self.beta(torch.cos(h @ self.rff.W + self.rff.b) / 2), y)


class Due(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.feature_extractor, self.gp = Encoder(width, True), nn.Module()
        self.gp.inducing_points = nn.Parameter(torch.zeros(points, 8 * width))
        self.gp.variational_mean = nn.Parameter(torch.zeros(classes, points))
        self.gp.chol_variational_covar = nn.Parameter(torch.zeros(classes, points, points))
        self.gp.constant = nn.Parameter(torch.zeros(classes, 1))
        self.gp.raw_outputscale = nn.Parameter(torch.zeros(classes))
        self.gp.raw_lengthscale = nn.Parameter(torch.zeros(classes, 1, 1))

    def kernel(self, a, b):
        squared = ((a[:, None] - b) ** 2).sum(-1)
        outputscale = F.softplus(self.gp.raw_outputscale)[:, None, None]
        return outputscale * torch.exp(-squared / (2 * F.softplus(self.gp.raw_lengthscale) ** 2))

    def loss(self, x, y, step):
        gp, z = self.gp, self.feature_extractor.features(x)
        inner = self.kernel(gp.inducing_points, gp.inducing_points).double() + 1e-3 * torch.eye(points).double()
        solved = torch.linalg.solve_triangular(
            torch.linalg.cholesky(inner), self.kernel(gp.inducing_points, z).double(), upper=False
        ).to(z.dtype)
        factor, m = torch.tril(gp.chol_variational_covar), gp.variational_mean
        mean = (solved * m[:, :, None]).sum(1) + gp.constant
        variance = F.softplus(gp.raw_outputscale)[:, None] + 1e-4 - (solved**2).sum(1)
        variance = variance + ((factor.transpose(1, 2) @ solved) ** 2).sum(1)
        shape = (samples, len(x), classes)
        draws = torch.from_numpy(noise(int(np.prod(shape)), step).astype(np.float32)).reshape(shape).to(z.dtype)
        fit = F.log_softmax(mean.t() + variance.t().sqrt() * draws, -1).mean(0)[torch.arange(len(x)), y].mean()
        diagonal = factor.diagonal(dim1=1, dim2=2)
        kl = ((factor**2).sum() + (m**2).sum() - m.numel()) / 2 - diagonal.abs().log().sum()
        return kl / trainings["due"]["count"] - fit


trainings = {
    "baseline": {"width": 64, "batch": 8, "steps": 20, "rate": 3e-4},
    "sngp": {"width": 8, "batch": 16, "steps": 5, "rate": 1e-4},
    "due": {"width": 8, "batch": 16, "steps": 12, "rate": 0.01, "count": 1000},
}


def losses(dtype, make, width, batch, steps, rate, **_):
    model = make(width)
    state = {name: array for name, array in model.state_dict().items() if "num_batches" not in name}
    for j, name in enumerate(sorted(state)):
        values = formula(name, state[name].shape, j).astype(np.float32)
        state[name].copy_(torch.from_numpy(values).reshape(state[name].shape))
    model.to(dtype).train()
    optimiser = torch.optim.SGD(model.parameters(), rate, momentum=0.9, weight_decay=1e-4)
    found = []
    for i in range(steps):
        part = slice(batch * i, batch * (i + 1))
        loss = model.loss((images[part].float() / 255).to(dtype), labels[part], i)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        found.append(round(loss.item(), 7))
    return found


torch.set_num_threads(1)
records = np.fromfile(os.path.join(sys.argv[1], "data_batch_1.bin"), np.uint8, 200 * 3073).reshape(-1, 3073)
images = torch.from_numpy(records[:, 1:].reshape(-1, 3, 32, 32).copy())
labels = torch.from_numpy(records[:, 0].astype(np.int64))
for (mode, how), make in zip(trainings.items(), [Baseline, Sngp, Due]):
    how["losses"] = losses(torch.float64, make, **how)
    how["losses32"] = losses(torch.float32, make, **how)
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "resnet_steps.json"), "w") as file:
    file.write(json.dumps({"torch": torch.__version__.split("+")[0], **trainings}, indent=1) + "\n")
