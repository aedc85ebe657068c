"""PyTorch's version of the benchmark's workloads: reads one request a line, answers with one line."""

import json
import os
import sys
import time
from functools import partial

import torch

from methods import DUQ, SNGP, Classifier
from networks import lenet, resnet18
from steps import Attack, Train

RESNET = Classifier(partial(resnet18, training=True))
METHODS = {
    "train": Classifier(),
    "sngp": SNGP(),
    "duq": DUQ(),
    "ensemble": Classifier(),
    "resnet8": RESNET,
    "resnet32": RESNET,
}
NETWORKS = {"attack": lenet, "resnet": resnet18}


def read(path, shape):
    with open(path, "rb") as file:
        return torch.frombuffer(bytearray(file.read()), dtype=torch.float32).reshape(shape)


def prepare(name, models, trainable, images, labels, epsilon):
    """The version of one workload; None where there is none."""
    models = [{key: read(*given) for key, given in weights.items()} for weights in models]
    x, y = read(*images), read(*labels).long()
    if name in METHODS:
        return Train(METHODS[name], models, trainable, x, y)
    if name in NETWORKS:
        return Attack(NETWORKS[name], models[0], x, y, epsilon)
    return None


def main():
    runner = None
    torch.set_num_threads(os.cpu_count())
    print(json.dumps({"version": torch.__version__, "threads": torch.get_num_threads()}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        if "prepare" in request:
            runner = prepare(**request["prepare"])
            print(json.dumps({"ready": runner is not None}), flush=True)
        else:
            started = time.perf_counter()
            losses = runner.run(request["run"])
            print(json.dumps({"losses": losses, "seconds": time.perf_counter() - started}), flush=True)


main()
