"""Exports torchvision's networks, untrained, each with what PyTorch in f64 makes of a few images.

Takes one request as JSON: names, whether small, the size of images, the folder, and of each file what its name ends
in, its opset, whether its batch is open, and whether means over all pixels are written as ReduceMean.
"""

import copy
import json
import struct
import sys
import warnings
from functools import partial

import onnx
import torch
from torch.nn import functional as F
from torchvision import models
from torchvision.models.convnext import CNBlockConfig
from torchvision.models.efficientnet import MBConvConfig
from torchvision.models.mobilenetv3 import InvertedResidualConfig

CLASSES = 10
IMAGES = 2


def vision_transformer(size, layers, heads, width):
    return models.VisionTransformer(
        image_size=size, patch_size=8, num_layers=layers, num_heads=heads, hidden_dim=width,
        mlp_dim=2 * width, num_classes=CLASSES)


def published(size):
    """The networks as they were published, but for ConvNeXt's scales, which begin so small that its blocks do nothing."""
    of = lambda make, **kwargs: partial(make, num_classes=CLASSES, **kwargs)
    return {
        "resnet18": of(models.resnet18),
        "mobilenet_v2": of(models.mobilenet_v2),
        "mobilenet_v3_small": of(models.mobilenet_v3_small),
        "squeezenet1_1": of(models.squeezenet1_1),
        "densenet121": of(models.densenet121),
        "efficientnet_b0": of(models.efficientnet_b0),
        "shufflenet_v2_x1_0": of(models.shufflenet_v2_x1_0),
        "convnext_tiny": of(models.convnext_tiny, layer_scale=0.3),
        "vit": lambda: vision_transformer(size, layers=4, heads=4, width=64),
    }


def small(size):
    """The same blocks, a few of them, and narrow."""
    inverted = partial(InvertedResidualConfig, dilation=1, width_mult=1)
    return {
        "mobilenet_v2": lambda: models.MobileNetV2(CLASSES, inverted_residual_setting=[
            [1, 8, 1, 2], [4, 16, 2, 2]], width_mult=0.5),
        "mobilenet_v3_small": lambda: models.MobileNetV3([
            inverted(16, 3, 16, 16, True, "RE", 2), inverted(16, 5, 32, 16, True, "HS", 1)],
            last_channel=32, num_classes=CLASSES),
        "densenet121": lambda: models.DenseNet(4, (2, 1, 1, 2), 8, num_classes=CLASSES),
        "efficientnet_b0": lambda: models.EfficientNet([
            MBConvConfig(1, 3, 1, 16, 8, 1), MBConvConfig(4, 5, 2, 8, 16, 2)], 0.2, num_classes=CLASSES),
        "shufflenet_v2_x1_0": lambda: models.ShuffleNetV2([2, 1, 1], [8, 16, 24, 32, 32], CLASSES),
        "convnext_tiny": lambda: models.ConvNeXt(
            [CNBlockConfig(8, 16, 1), CNBlockConfig(16, None, 1)], 0.0, 0.3, CLASSES),
        "vit": lambda: vision_transformer(size, layers=2, heads=2, width=32),
    }


def write(path, tensors):
    """Writes arrays as safetensors of f32."""
    header, parts, end = {}, [], 0
    for name, tensor in tensors.items():
        data = tensor.detach().to(torch.float32).contiguous().numpy().tobytes()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [end, end + len(data)]}
        parts.append(data)
        end += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(parts))


def prepared(make, size):
    """A network in evaluation, of statistics and a last layer that are not the first ones."""
    torch.manual_seed(0)
    network = make()
    if isinstance(network, models.VisionTransformer):
        torch.nn.init.normal_(network.heads.head.weight)
    network.train()
    with torch.no_grad():
        for _ in range(3):
            network(torch.rand(8, 3, size, size))
    return network.eval()


def export(name, make, size, folder, files):
    network = prepared(make, size)
    x = torch.rand(IMAGES, 3, size, size)
    labels = torch.arange(IMAGES) * 4 + 3
    exact = x.double().requires_grad_()
    logits = copy.deepcopy(network).double()(exact)
    F.cross_entropy(logits, labels, reduction="sum").backward()
    write(f"{folder}/{name}.safetensors", {"x": x, "labels": labels, "logits": logits, "dx": exact.grad})
    for suffix, opset, is_open, is_plain in files:
        path = f"{folder}/{name}_{suffix}.onnx"
        axes = {"image": {0: "batch"}, "logits": {0: "batch"}} if is_open else None
        torch.onnx.export(
            network, x if is_open else x[:1], path, opset_version=opset,
            input_names=["image"], output_names=["logits"], dynamic_axes=axes)
        if is_plain:
            onnx.save(with_means(onnx.load(path)), path)


def with_means(model):
    """GlobalAveragePool as the ReduceMean over both axes of space that it is."""
    for node in model.graph.node:
        if node.op_type == "GlobalAveragePool":
            node.op_type = "ReduceMean"
            node.attribute.append(onnx.helper.make_attribute("axes", [2, 3]))
    return model


def main():
    warnings.filterwarnings("ignore")
    request = json.loads(sys.argv[1])
    size = request["size"]
    networks = small(size) if request["small"] else published(size)
    for name in request["names"]:
        export(name, networks[name], size, request["folder"], request["files"])


main()
