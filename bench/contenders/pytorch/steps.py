"""The two kinds of steps: of SGD, and of an attack."""

import torch
import torch.nn.functional as F

LR, MOMENTUM, WEIGHT_DECAY, ATTACK_STEPS = 0.01, 0.9, 1e-4, 10


class Train:
    """Steps of SGD on one model, or on several one after the other."""

    def __init__(self, method, models, trainable, x, y):
        self.method, self.models, self.x, self.y = method, models, x, y
        self.optimisers = [
            torch.optim.SGD(
                [w[name].requires_grad_() for name in trainable],
                lr=LR,
                momentum=MOMENTUM,
                weight_decay=WEIGHT_DECAY,
            )
            for w in models
        ]

    def run(self, steps):
        losses = []
        for _ in range(steps):
            each = [self.step(w, sgd) for w, sgd in zip(self.models, self.optimisers)]
            losses.append(torch.stack(each).mean())
        return [float(loss) for loss in losses]

    def step(self, w, sgd):
        sgd.zero_grad()
        loss = self.method.loss(self.x, self.y, w)
        loss.backward()
        sgd.step()
        self.method.after_step(self.x, self.y, w)
        return loss.detach()


class Attack:
    """Steps of projected gradient descent on images; they start anew after ten."""

    def __init__(self, network, w, x, y, epsilon):
        self.network, self.w, self.x, self.y, self.epsilon = network, w, x, y, epsilon

    def run(self, steps):
        losses = []
        for i in range(steps):
            if i % ATTACK_STEPS == 0:
                x = self.x.clone()
            x.requires_grad_()
            loss = F.cross_entropy(self.network(x, self.w), self.y, reduction="sum")
            (gradient,) = torch.autograd.grad(loss, x)
            with torch.no_grad():
                moved = x - self.epsilon / ATTACK_STEPS * gradient.sign()
                ball = torch.minimum(torch.maximum(moved, self.x - self.epsilon), self.x + self.epsilon)
                x = ball.clamp(0, 1)
            losses.append(loss.detach() / len(x))
        return [float(loss) for loss in losses]
