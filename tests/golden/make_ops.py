"""Writes ops.json beside this file, with PyTorch 1.13: what it makes of pools, powers and others, and their gradients.

    python3 tests/golden/make_ops.py && deno fmt tests/golden/ops.json

Arrays are words in a row. Images and cotangents are not written, for the test makes them by the same rules: element i of an image is
(7 i i + 3 i) % 11 - 5, with ties, and of a cotangent i % 5 + 1.
"""

import json
import os

import torch
import torch.nn.functional as F

here = os.path.dirname(os.path.abspath(__file__))
inf = float("inf")


def image(shape):
    i = torch.arange(torch.Size(shape).numel(), dtype=torch.float64)
    return ((7 * i * i + 3 * i) % 11 - 5).reshape(shape)


def cotangent(y):
    return (torch.arange(y.numel(), dtype=torch.float64) % 5 + 1).reshape(y.shape)


def numbers(tensor):
    """Values as words in a row, for JSON has no infinity."""
    return " ".join(repr(v).removesuffix(".0") for v in tensor.flatten().tolist())


def case(f, xs, **about):
    """f's value at xs and its gradients by all of them."""
    xs = [x.clone().requires_grad_() for x in xs]
    y = f(*xs)
    grads = torch.autograd.grad((y * cotangent(y)).sum(), xs)
    return {**about, "shape": list(y.shape), "y": numbers(y), "grads": list(map(numbers, grads))}


def pool(f, shape, fill=None, **options):
    """A pool; its padding by PyTorch where that is one number, else made first, as zeros or as what never wins."""
    x = image(shape) if fill is None else torch.full(shape, fill, dtype=torch.float64)
    padding = options.get("padding", 0)
    stride, ceil = options.get("stride"), options.get("ceil", False)
    if f is F.max_pool2d:
        of = {"dilation": options.get("dilation", 1)}
        empty = -inf
    else:
        of = {"count_include_pad": options.get("countIncludePad", True)}
        empty = 0.0

    def run(x):
        inside = padding
        if isinstance(padding, list):
            top, left, bottom, right = padding
            x = F.pad(x, (left, right, top, bottom), value=empty)
            inside = 0
        return f(x, options["window"], stride, padding=inside, ceil_mode=ceil, **of)

    about = {} if fill is None else {"fill": str(fill)}
    return case(run, [x], image=list(shape), options=options, **about)


m, a = F.max_pool2d, F.avg_pool2d
max_pools = [
    pool(m, (1, 2, 6, 7), window=3, stride=2, padding=1),
    pool(m, (1, 1, 7, 7), window=3, stride=2, padding=1, ceil=True),
    pool(m, (2, 1, 5, 6), window=[2, 3], stride=[1, 2]),
    pool(m, (1, 1, 5, 5), window=2, stride=2, padding=1, ceil=True),
    pool(m, (1, 1, 4, 6), window=3, stride=2, ceil=True),
    pool(m, (1, 1, 2, 2), window=3, stride=2, ceil=True),
    pool(m, (1, 1, 5, 4), window=1, stride=3, ceil=True),
    pool(m, (1, 1, 8, 7), window=[3, 2], stride=[1, 2], dilation=[2, 3], padding=1),
    pool(m, (1, 1, 9, 6), window=3, stride=3, dilation=2, padding=1, ceil=True),
    pool(m, (1, 2, 6, 6), window=2),
    pool(m, (1, 1, 5, 5), window=5, stride=1, padding=2),
    pool(m, (1, 1, 4, 5), window=3, stride=2, padding=[0, 1, 1, 0]),
    pool(m, (1, 1, 3, 4), window=2, stride=1, padding=1, fill=-inf),
]
average_pools = [
    pool(a, (1, 2, 6, 7), window=3, stride=2, padding=1),
    pool(a, (1, 1, 6, 7), window=3, stride=2, padding=1, countIncludePad=False),
    pool(a, (1, 1, 7, 6), window=3, stride=2, padding=1, ceil=True),
    pool(a, (1, 1, 7, 6), window=3, stride=2, padding=1, ceil=True, countIncludePad=False),
    pool(a, (1, 1, 5, 5), window=2, stride=2, padding=1, ceil=True),
    pool(a, (1, 1, 4, 6), window=3, stride=2, ceil=True),
    pool(a, (2, 1, 5, 6), window=[2, 3], stride=[1, 2]),
    pool(a, (1, 1, 6, 4), window=2),
    pool(a, (1, 1, 4, 5), window=[3, 2], stride=1, padding=[0, 1, 1, 0]),
]

bases = torch.tensor([0.0, 0.5, 1, 2, -0.5, -1, -2], dtype=torch.float64)
exponents = torch.tensor([-2.0, -1, 0, 1, 2, 3, 0.5], dtype=torch.float64)
grid = [v.flatten().clone() for v in torch.meshgrid(bases, exponents, indexing="ij")]
powers = {
    "bases": numbers(bases),
    "numbers": [
        case(lambda x, n=n: x**n, [bases], exponent=n) for n in [0, 1, 2, 3, -1, -2, 0.5, 2.5, -0.5, 65]
    ],
    "exponents": numbers(exponents),
    "tensor": case(torch.pow, grid),
}

points = torch.tensor([0, 1e-8, 0.01, 0.3, 0.5, 0.9, 1.5, 2.5, 3.7, 5.5, 7, -0.7, -3], dtype=torch.float64)
far = image((2, 3, 4)) / 100 + 1000
norms = [
    case(
        lambda x, w, b: F.layer_norm(x, w.shape, w, b, 1e-5),
        [far, image(shape) / 3, image(shape)],
        axes=len(shape),
    )
    for shape in [(4,), (3, 4), (2, 3, 4)]
]
error_function = {"points": numbers(points), **case(torch.erf, [points])}

with open(os.path.join(here, "ops.json"), "w") as file:
    json.dump(
        {
            "torch": torch.__version__,
            "maxPools": max_pools,
            "averagePools": average_pools,
            "powers": powers,
            "erf": error_function,
            "norms": norms,
        },
        file,
    )
