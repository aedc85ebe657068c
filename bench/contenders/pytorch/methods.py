"""What is trained: a loss of images and labels by a model's weights, and what changes besides them."""

import torch
import torch.nn.functional as F

from networks import lenet, lenet_features, relu_pool


class Classifier:
    """A network under cross-entropy."""

    def __init__(self, network=lenet):
        self.network = network

    def loss(self, x, y, w):
        return F.cross_entropy(self.network(x, w), y)

    def after_step(self, x, y, w):
        pass


class SNGP(Classifier):
    """Spectral normalisation, a fixed projection, layer norm, random Fourier features; sums the precision."""

    COEFF = 3

    def loss(self, x, y, w):
        k = F.linear(self.encode(x, w), w["random_matrix"])
        h = F.layer_norm(k, k.shape[1:], w["normalize.weight"], w["normalize.bias"])
        phi = torch.cos(h @ w["rff.W"] + w["rff.b"]) / 2
        with torch.no_grad():
            w["precision_matrix"] += phi.T @ phi
        return F.cross_entropy(F.linear(phi, w["beta.weight"], w["beta.bias"]), y)

    def encode(self, x, w):
        bias = lambda layer: w[f"feature_extractor.{layer}.bias"]
        spectral = lambda layer, *maps: self.spectral(w, f"feature_extractor.{layer}.weight", *maps)
        h = relu_pool(F.conv2d(x, spectral("conv1.0", F.conv2d, F.conv_transpose2d), bias("conv1.0")))
        h = relu_pool(F.conv2d(h, spectral("conv2.0", F.conv2d, F.conv_transpose2d), bias("conv2.0")))
        weight = spectral("fc_1.0", F.linear, torch.matmul)
        return F.relu(F.linear(h.flatten(1), weight, bias("fc_1.0")))

    def spectral(self, w, name, apply, adjoint):
        """The weight over max(1, sigma / 3), after one power iteration on the map v -> apply(v, weight)."""
        weight, u, v = (w[f"{name}_{part}"] for part in ("orig", "u", "v"))
        with torch.no_grad():
            v.copy_(unit(adjoint(u, weight)))
            u.copy_(unit(apply(v, weight)))
        sigma = (u * apply(v, weight)).sum()
        return weight / (sigma / self.COEFF).clamp_min(1)


class DUQ:
    """Kernel values of ten centroids under binary cross-entropy, with the gradient penalty."""

    LENGTH_SCALE, GAMMA, LAMBDA, CLASSES = 0.5, 0.999, 0.3, 10

    def loss(self, x, y, w):
        x = x.detach().requires_grad_()
        kernel = self.kernel(x, w)
        (slope,) = torch.autograd.grad(kernel.sum(), x, create_graph=True)
        penalty = (slope.flatten(1).norm(dim=1) - 1).square().mean()
        targets = F.one_hot(y, self.CLASSES).to(kernel.dtype)
        return F.binary_cross_entropy(kernel, targets) + self.LAMBDA * penalty

    @torch.no_grad()
    def after_step(self, x, y, w):
        targets = F.one_hot(y, self.CLASSES).to(x.dtype)
        sums = torch.einsum("bkc,bc->kc", self.embed(x, w), targets)
        w["N"].mul_(self.GAMMA).add_(targets.sum(0), alpha=1 - self.GAMMA)
        w["m"].mul_(self.GAMMA).add_(sums, alpha=1 - self.GAMMA)

    def embed(self, x, w):
        """Images to [B, K, C]."""
        z = lenet_features(x, w, "feature_extractor.")
        return torch.einsum("bf,kcf->bkc", z, w["W"])

    def kernel(self, x, w):
        """Images to [B, C]."""
        distances = (self.embed(x, w) - w["m"] / w["N"]).square().mean(1)
        return torch.exp(-distances / (2 * self.LENGTH_SCALE**2))


def unit(t):
    return t / t.norm().clamp_min(1e-12)
