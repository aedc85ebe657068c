"""The networks as functions of an input and of weights by name."""

import torch.nn.functional as F


def relu_pool(x):
    return F.max_pool2d(F.relu(x), 2)


def lenet_features(x, w, prefix=""):
    """Images [B, 1, 28, 28] to features [B, 84]."""
    w = {name.removeprefix(prefix): t for name, t in w.items() if name.startswith(prefix)}
    h = relu_pool(F.conv2d(x, w["conv1.0.weight"], w["conv1.0.bias"], padding=2))
    h = relu_pool(F.conv2d(h, w["conv2.0.weight"], w["conv2.0.bias"]))
    return F.relu(F.linear(h.flatten(1), w["fc_1.0.weight"], w["fc_1.0.bias"]))


def lenet(x, w):
    """Images [B, 1, 28, 28] to logits [B, 10]."""
    return F.linear(lenet_features(x, w), w["fc_2.0.weight"], w["fc_2.0.bias"])


def resnet18(x, w, training=False):
    """Images [B, 3, 32, 32] to logits [B, 10]; in training by the batch's moments, which the running ones follow."""

    def norm(h, name):
        moments = w[f"{name}.running_mean"], w[f"{name}.running_var"]
        return F.batch_norm(h, *moments, w[f"{name}.weight"], w[f"{name}.bias"], training)

    def block(h, name, stride):
        y = F.relu(norm(F.conv2d(h, w[f"{name}.conv1.weight"], stride=stride, padding=1), f"{name}.bn1"))
        y = norm(F.conv2d(y, w[f"{name}.conv2.weight"], padding=1), f"{name}.bn2")
        if f"{name}.shortcut.0.weight" in w:
            h = norm(F.conv2d(h, w[f"{name}.shortcut.0.weight"], stride=stride), f"{name}.shortcut.1")
        return F.relu(y + h)

    h = F.relu(norm(F.conv2d(x, w["conv1.weight"], padding=1), "bn1"))
    for stage in (1, 2, 3, 4):
        h = block(h, f"layer{stage}.0", 1 if stage == 1 else 2)
        h = block(h, f"layer{stage}.1", 1)
    return F.linear(h.mean((2, 3)), w["linear.weight"], w["linear.bias"])
