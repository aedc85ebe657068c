"""Writes convolutions.json beside this file, with PyTorch 1.13.

    python3 tests/golden/make_convolutions.py && deno fmt tests/golden/convolutions.json

Element i of the image, the filters and the bias is sin(12.9898 (i + 1) + 78.233 phase), phases 1, 2 and 4; gradients
are those of the results' sum weighted in the same way, by phase 3. All is computed in f64 and kept to seven digits.
"""

import json
import os

import numpy as np
import torch
import torch.nn.functional as F


def wave(shape, phase):
    values = np.sin(12.9898 * (np.arange(np.prod(shape)) + 1) + 78.233 * phase)
    return torch.from_numpy(values.reshape(shape)).requires_grad_()


def digits(values):
    return " ".join(f"{value:.7g}" for value in values.detach().flatten().tolist())


def case(name, image, filters, stride=(1, 1), padding=(0, 0, 0, 0), dilation=(1, 1), groups=1):
    """Padding is top, left, bottom, right."""
    x, w, bias = wave(image, 1), wave(filters, 2), wave(filters[:1], 4)
    top, left, bottom, right = padding
    framed = F.pad(x, (left, right, top, bottom))
    y = F.conv2d(framed, w, bias, stride, 0, dilation, groups)
    (y * wave(tuple(y.shape), 3).detach()).sum().backward()
    return {
        "name": name,
        "image": image,
        "filters": filters,
        "options": {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups},
        "shape": list(y.shape),
        "output": digits(y),
        "byImage": digits(x.grad),
        "byFilters": digits(w.grad),
        "byBias": digits(bias.grad),
    }


same = (1, 1, 1, 1)
document = {
    "by": f"PyTorch {torch.__version__.split('a')[0]}",
    "cases": [
        case("depthwise 3 x 3", [2, 4, 6, 5], [4, 1, 3, 3], padding=same, groups=4),
        case("depthwise 3 x 3, stride 2, padding as TensorFlow's", [1, 3, 8, 8], [3, 1, 3, 3], (2, 2), (0, 0, 1, 1), groups=3),
        case("depthwise 7 x 7", [1, 2, 8, 9], [2, 1, 7, 7], padding=(3, 3, 3, 3), groups=2),
        case("depthwise 5 x 5, two filters a channel", [1, 3, 6, 7], [6, 1, 5, 5], padding=(2, 2, 2, 2), groups=3),
        case("two groups", [1, 6, 5, 6], [4, 3, 3, 3], padding=same, groups=2),
        case("groups of 1 x 1 filters", [5, 4, 3, 4], [6, 2, 1, 1], groups=2),
        case("dilation 2", [1, 2, 8, 7], [3, 2, 3, 3], padding=(2, 2, 2, 2), dilation=(2, 2)),
        case("stride by axis", [1, 2, 7, 9], [3, 2, 3, 3], (1, 2), same),
        case("filters of one row", [2, 3, 4, 7], [4, 3, 1, 3], padding=(0, 1, 0, 1)),
        case("uneven padding", [1, 2, 5, 6], [3, 2, 3, 2], padding=(2, 0, 1, 3)),
        case("everything", [2, 4, 9, 11], [6, 2, 3, 2], (2, 3), (3, 0, 1, 2), (2, 3), 2),
    ],
}
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "convolutions.json"), "w") as file:
    json.dump(document, file)
    file.write("\n")
