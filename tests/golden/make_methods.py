"""Writes <method>.safetensors beside this file: methods in evaluation, written down a second time, with PyTorch 1.13.

    python3 tests/golden/make_methods.py

Weights are random, of half precision so that they are short; everything is computed from them in f64 and kept as f32.
"""

import gzip
import json
import os
from math import pi

import numpy as np
import torch
import torch.nn.functional as F

here = os.path.dirname(os.path.abspath(__file__))
torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)

with gzip.open(os.path.join(here, "../../data/embedded/letters-images-idx3-ubyte.gz")) as file:
    letters = torch.tensor(np.frombuffer(file.read(), np.uint8, offset=16).copy().reshape(-1, 1, 28, 28))


def images(index):
    return (letters[index].float() / 255).double()


count, shown, epsilon = 32, 4, 0.1
# One of every 78 or 79, all ten letters; and ten others of each, from which heads have their centres.
index = [i * len(letters) // count for i in range(count)]
others = [c * 252 + 25 * k + 2 for c in range(10) for k in range(10)]
assert not set(index) & set(others)


def half(x):
    return x.half().double()


def weights(random, shape, gain):
    fan_in = int(np.prod(shape[1:]))
    return half(torch.randn(shape, generator=random) * gain / fan_in**0.5)


def offsets(random, n, scale=0.1):
    return half(torch.randn(n, generator=random) * scale)


def plain_lenet(random):
    return {
        "conv1.0.weight": weights(random, (6, 1, 5, 5), 1.4),
        "conv1.0.bias": offsets(random, 6),
        "conv2.0.weight": weights(random, (16, 6, 5, 5), 1.4),
        "conv2.0.bias": offsets(random, 16),
        "fc_1.0.weight": weights(random, (84, 400), 1.4),
        "fc_1.0.bias": offsets(random, 84),
    }


def plain_features(s, x, prefix=""):
    w = {name.removeprefix(prefix): value for name, value in s.items()}
    a = F.max_pool2d(F.conv2d(x, w["conv1.0.weight"], w["conv1.0.bias"], padding=2).relu(), 2)
    b = F.max_pool2d(F.conv2d(a, w["conv2.0.weight"], w["conv2.0.bias"]).relu(), 2)
    return F.linear(b.flatten(1), w["fc_1.0.weight"], w["fc_1.0.bias"]).relu()


# The layers of the spectral LeNet: shape of the weight, gain, and of one input.
spectral = {
    "conv1.0": ((6, 1, 5, 5), 1.4, (1, 1, 28, 28)),
    "conv2.0": ((16, 6, 5, 5), 4.0, (1, 6, 12, 12)),
    "fc_1.0": ((84, 256), 1.4, (1, 256)),
}


def layer(x, w, b=None):
    return F.linear(x, w, b) if w.dim() == 2 else F.conv2d(x, w, b)


def spectral_lenet(random, prefix):
    state = {}
    for name, (shape, gain, of) in spectral.items():
        w = weights(random, shape, gain)
        v = torch.randn(of, generator=random).requires_grad_()
        for _ in range(20):
            # The map is linear in v: the gradient of |W v|^2 / 2 is W^T W v.
            (step,) = torch.autograd.grad(layer(v, w).square().sum() / 2, v)
            v = (step / step.norm()).requires_grad_()
        v = half(v.detach())
        u = half(F.normalize(layer(v, w).flatten(), dim=0))
        sigma = (u * layer(v, w).flatten()).sum()
        print(f"  {name}: sigma {sigma:.2f}")
        state |= {
            f"{prefix}{name}.bias": offsets(random, shape[0]),
            f"{prefix}{name}.weight_orig": w,
            f"{prefix}{name}.weight_u": u.reshape(layer(v, w).shape),
            f"{prefix}{name}.weight_v": v,
            f"{prefix}{name}.weight_sigma": half(sigma.reshape(1)),
        }
    return state


def spectral_features(s, x, prefix):
    for name in spectral:
        w, u, v = (s[f"{prefix}{name}.weight_{part}"] for part in ("orig", "u", "v"))
        w = w / max(1, (u * layer(v, w)).sum() / 3)
        x = layer(x if w.dim() == 4 else x.flatten(1), w, s[f"{prefix}{name}.bias"]).relu()
        x = F.max_pool2d(x, 2) if w.dim() == 4 else x
    return x


def classifier(seed):
    """Logits of LeNet."""
    random = torch.Generator().manual_seed(seed)
    state = plain_lenet(random) | {
        "fc_2.0.weight": weights(random, (10, 84), 6.0),
        "fc_2.0.bias": offsets(random, 10),
    }
    return state, lambda x: F.linear(plain_features(state, x), state["fc_2.0.weight"], state["fc_2.0.bias"])


def of_logits(logits):
    """Log-probabilities, and the cross-entropy of each image against its own argmax."""
    return logits.log_softmax(1), F.cross_entropy(logits, logits.argmax(1), reduction="none")


def duq(seed):
    random = torch.Generator().manual_seed(seed)
    state = {f"feature_extractor.{name}": value for name, value in plain_lenet(random).items()}
    state["W"] = weights(random, (42, 10, 84), 18.0)
    state["N"] = half(10 + torch.rand(10, generator=random))

    def embed(x):
        return torch.einsum("kcd,bd->bkc", state["W"], plain_features(state, x, "feature_extractor."))

    means = embed(images(others)).reshape(10, 10, 42, 10).mean(1)  # [letter, K, class]
    state["m"] = half(torch.stack([means[c, :, c] for c in range(10)], 1) * state["N"])

    def answer(x):
        distance = (embed(x) - state["m"] / state["N"]).square().mean(1)
        kernel = (-distance / (2 * 0.5**2)).exp()
        target = F.one_hot(kernel.argmax(1), 10).double()
        loss = F.binary_cross_entropy(kernel, target, reduction="none").mean(1)
        return (kernel / kernel.sum(1, keepdim=True)).log(), loss

    return [state], [answer], lambda xs: answer(xs[0])[0]


def sngp(seed):
    random = torch.Generator().manual_seed(seed)
    d, prefix = 256, "feature_extractor."
    state = spectral_lenet(random, prefix)
    state["random_matrix"] = half(torch.randn((d, 84), generator=random) * 0.05)
    state["normalize.weight"] = half(1 + 0.1 * torch.randn(d, generator=random))
    state["normalize.bias"] = offsets(random, d)
    directions, _ = torch.linalg.qr(torch.randn((d, d), generator=random))
    state["rff.W"] = half(directions * torch.randn((d, d), generator=random).norm(dim=0))
    state["rff.b"] = half(2 * pi * torch.rand(d, generator=random))
    state["beta.weight"] = weights(random, (10, d), 90.0)
    state["beta.bias"] = offsets(random, 10)

    def features(x):
        k = F.layer_norm(
            spectral_features(state, x, prefix) @ state["random_matrix"].T,
            (d,), state["normalize.weight"], state["normalize.bias"],
        )
        return (k @ state["rff.W"] + state["rff.b"]).cos() / 2

    seen = half(features(images(others)))
    precision = (torch.eye(d) + seen.T @ seen).float().double()
    covariance = torch.linalg.inv(precision)

    def answer(x):
        phi = features(x)
        variance = ((phi @ covariance) * phi).sum(1, keepdim=True)
        return of_logits(F.linear(phi, state["beta.weight"], state["beta.bias"]) / (1 + 25 * variance).sqrt())

    # In place of the precision I + phi^T phi, which is 256 x 256.
    return [state | {"phi": seen}], [answer], lambda xs: answer(xs[0])[0]


def due(seed):
    """What there is of DUE without drawing: the marginals of its processes, and their divergence."""
    random = torch.Generator().manual_seed(seed)
    c, m, prefix = 10, 10, "feature_extractor."
    state = spectral_lenet(random, prefix)
    z = half(spectral_features(state, images(others[5::10]), prefix))
    mean = half(torch.randn((c, m), generator=random))
    factor = half(torch.eye(m) + 0.3 * torch.randn((c, m, m), generator=random))
    constant = offsets(random, (c, 1))
    raw_scale, raw_length = offsets(random, c, 0.5), half(torch.cdist(z, z).mean() + offsets(random, (c, 1, 1), 0.5))
    strategy = "gp.variational_strategy.base_variational_strategy"
    state |= {
        f"{strategy}.inducing_points": z,
        f"{strategy}._variational_distribution.variational_mean": mean,
        f"{strategy}._variational_distribution.chol_variational_covar": factor,
        "gp.mean_module.constant": constant,
        "gp.covar_module.raw_outputscale": raw_scale,
        "gp.covar_module.base_kernel.raw_lengthscale": raw_length,
    }

    def covariance(a, b):
        r2 = (a[:, None] - b[None]).square().sum(2) / F.softplus(raw_length).square()
        return F.softplus(raw_scale)[:, None, None] * (-r2 / 2).exp()

    x = spectral_features(state, images(index), prefix)
    kzz = covariance(z, z) + 1e-3 * torch.eye(m)
    a = torch.linalg.solve(torch.linalg.cholesky(kzz), covariance(z, x))  # [c, m, b]
    s = factor.tril()
    variance = F.softplus(raw_scale)[:, None] + 1e-4 + ((s.mT @ a).square() - a.square()).sum(1)
    # The columns' signs are free, and torch wants a positive diagonal.
    q = torch.distributions.MultivariateNormal(mean, scale_tril=s @ torch.diag_embed(s.diagonal(dim1=1, dim2=2).sign()))
    p = torch.distributions.MultivariateNormal(torch.zeros(m), torch.eye(m))
    return state, {
        "mean": ((a * mean[..., None]).sum(1) + constant).T,
        "variance": variance.T,
        "divergence": torch.distributions.kl_divergence(q, p).sum().reshape(1),
    }


def losses_and_slope(answer, x):
    x = x.detach().requires_grad_()
    _, losses = answer(x)
    (slope,) = torch.autograd.grad(losses.sum(), x)
    return losses.detach(), slope


def attack(answer, x0, steps):
    """FGSM where there is one step, else PGD; the label is chosen anew at each."""
    x = x0
    for _ in range(steps):
        _, slope = losses_and_slope(answer, x)
        x = (x - epsilon / steps * slope.sign()).clamp(x0 - epsilon, x0 + epsilon).clamp(0, 1)
    return x


def figures(log_probabilities):
    p = log_probabilities.exp()
    entropies = -(p * log_probabilities).sum(1)
    return entropies, {
        "entropy": entropies.mean().item(),
        "rejection": (p.max(1).values <= 0.9).double().mean().item(),
    }


def golden(states, members, answer, steps):
    x = images(index)
    attacked = [attack(member, x, steps) for member in members]
    clean, adversarial = answer([x for _ in members]), answer(attacked)
    (entropies, before), (moved, after) = figures(clean), figures(adversarial)
    p = torch.cat([clean, adversarial]).max(1).values.exp()
    print(f"  clean {before}, attacked {after}; nearest to 0.9: {(p - 0.9).abs().min():.4f}")
    losses, slopes = zip(*(losses_and_slope(member, x) for member in members))
    arrays = {
        "log_probabilities": clean,
        "losses": torch.stack(losses),
        "slope": torch.stack(slopes)[:, :shown],
        "attacked": torch.stack(attacked)[:, :shown],
        "entropies": moved,
    }
    return states, arrays, {"steps": steps, "clean": before, "attacked": after}


def write(name, states, arrays, told):
    parts, offset = [], 0
    header = {"__metadata__": {"figures": json.dumps(told), "images": json.dumps(index), "by": f"torch {torch.__version__}"}}
    named = [(f"state.{i}.{key}", value, "<f2") for i, state in enumerate(states) for key, value in state.items()]
    for key, value, kind in named + [(key, value, "<f4") for key, value in arrays.items()]:
        raw = value.detach().numpy().astype(kind).tobytes()
        dtype = {"<f2": "F16", "<f4": "F32"}[kind]
        header[key] = {"dtype": dtype, "shape": list(value.shape), "data_offsets": [offset, offset + len(raw)]}
        parts.append(raw)
        offset += len(raw)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(os.path.join(here, f"{name}.safetensors"), "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text + b"".join(parts))


def single(seed):
    state, logits = classifier(seed)
    return [state], [lambda x: of_logits(logits(x))], lambda xs: logits(xs[0]).log_softmax(1)


def ensemble(seed):
    states, members = zip(*(classifier(seed + i) for i in range(2)))
    each = [lambda x, logits=logits: of_logits(logits(x)) for logits in members]
    return states, each, lambda xs: sum(f(x) for f, x in zip(members, xs)).div(2).log_softmax(1)


for name, make, seed, steps in [
    ("baseline", single, 1, 1),
    ("deep_ensemble", ensemble, 2, 1),
    ("duq", duq, 4, 10),
    ("sngp", sngp, 5, 10),
]:
    print(name)
    write(name, *golden(*make(seed), steps))
print("due")
state, arrays = due(6)
write("due", [state], arrays, {})
