"""Writes tiny.checkpoint and evil.checkpoint beside this file, with PyTorch 1.13.

    python3 tests/golden/make_tiny.py
"""

import os
from collections import OrderedDict

import torch

here = os.path.dirname(os.path.abspath(__file__))

base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
state = OrderedDict(
    contiguous=base.clone(),
    transposed=base.t(),
    strided=base[1::2, ::3],
    row_of_shared=base[2],
    half=torch.tensor([0.5, -2.0, 65504.0, 6e-8], dtype=torch.float16),
    bfloat=torch.tensor([1.0, -3.140625], dtype=torch.bfloat16),
    double=torch.tensor([1 / 3], dtype=torch.float64),
    long=torch.tensor([-7, 2**40]),
    int=torch.tensor([-1, 2], dtype=torch.int32),
    byte=torch.tensor([0, 255], dtype=torch.uint8),
    bool=torch.tensor([True, False]),
    scalar=torch.tensor(42.0),
    empty=torch.zeros(0, 3),
    parameter=torch.nn.Parameter(torch.tensor([1.5])),
)
torch.save(
    {"epoch": 3, "state_dict": state, "optimizer": {"lr": 0.01, "names": ["a", ("b", None)]}, "prec1": 98.5},
    os.path.join(here, "tiny.checkpoint"),
)


class Evil:
    def __reduce__(self):
        return os.system, ("echo this must never run",)


torch.save({"state_dict": OrderedDict(w=torch.ones(1)), "extra": Evil()}, os.path.join(here, "evil.checkpoint"))
