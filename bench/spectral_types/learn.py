"""The network's training: plain NumPy, so that nothing but the package is needed to make its weights again."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from tracecube.kernels.log_spectrum import BINS, STEP
from tracecube.kernels.type_network import FIRST, LAST
from tracecube.recipes.classify.kinds import CLASS_OF, KINDS

SHIFTS = int(np.log(1.38) / STEP) + 1
"""Redshifts looked at: 0 to 0.38."""
NOT_KNOWN = 9.0
"""Variance that stands for "not measured" in the bank."""
PAIRS = (LAST - FIRST) // 2
INPUTS = 2 * PAIRS + 2


def inputs(value: np.ndarray, variance: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """As `tracecube.kernels.type_network.inputs`, for many spectra at one shift each (the tests compare them)."""
    places = np.arange(FIRST, LAST) + shift[:, None]
    inside = places < BINS
    places = np.minimum(places, BINS - 1)
    noise = np.take_along_axis(variance, places, 1)
    weight = np.where((noise < NOT_KNOWN - 0.1) & inside, 1.0 / (noise + 0.02), 0.0).astype(np.float32)
    shape = (len(shift), PAIRS, 2)
    total = weight.reshape(shape).sum(2)
    mean = (weight * np.take_along_axis(value, places, 1)).reshape(shape).sum(2) / np.maximum(total, 1e-6)
    known = np.minimum(total / 100.0, 1.0)
    scatter = np.sqrt((mean**2 * known).sum(1) / np.maximum(known.sum(1), 1.0))
    parts = [
        mean * np.sqrt(known) / (scatter[:, None] + 0.03),
        known,
        np.log(scatter + 0.03)[:, None],
        known.mean(1)[:, None],
    ]
    return np.concatenate(parts, axis=1).astype(np.float32)


class Perceptron:
    """Two hidden layers with dropout; Adam with decoupled weight decay (Loshchilov and Hutter 2019)."""

    def __init__(self, rng: np.random.Generator, hidden: tuple[int, int] = (160, 64)) -> None:
        sizes = (INPUTS, *hidden, len(KINDS))
        self.p = []
        for k, (a, b) in enumerate(pairwise(sizes)):
            self.p += [rng.normal(0.0, np.sqrt(2.0 / a) if k < 2 else 0.1, (a, b)), np.zeros(b)]
        self.p = [part.astype(np.float32) for part in self.p]
        self.first, self.second, self.steps = [0 * p for p in self.p], [0 * p for p in self.p], 0

    def forward(self, x: np.ndarray, rng: np.random.Generator | None = None, drop: float = 0.0) -> np.ndarray:
        w1, b1, w2, b2, w3, b3 = self.p
        masks = []
        h = np.maximum(x @ w1 + b1, 0.0)
        if rng is not None:
            masks.append((rng.random(h.shape, dtype=np.float32) > drop).astype(np.float32) / np.float32(1.0 - drop))
            h *= masks[0]
        g = np.maximum(h @ w2 + b2, 0.0)
        if rng is not None:
            masks.append((rng.random(g.shape, dtype=np.float32) > drop).astype(np.float32) / np.float32(1.0 - drop))
            g *= masks[1]
        self.cache = (x, h, g, masks)
        return g @ w3 + b3

    def backward(self, slope: np.ndarray, rate: float, decay: float) -> None:
        x, h, g, masks = self.cache
        dg = slope @ self.p[4].T * (g > 0) * masks[1]
        dh = dg @ self.p[2].T * (h > 0) * masks[0]
        slopes = [x.T @ dh, dh.sum(0), h.T @ dg, dg.sum(0), g.T @ slope, slope.sum(0)]
        self.steps += 1
        for k, (p, q) in enumerate(zip(self.p, slopes, strict=True)):
            if p.ndim == 2:
                np.multiply(p, np.float32(1.0 - rate * decay), out=p)
            self.first[k] += np.float32(0.1) * (q - self.first[k])
            self.second[k] += np.float32(0.001) * (q * q - self.second[k])
            one, two = 1.0 - 0.9**self.steps, 1.0 - 0.999**self.steps
            move = self.first[k] / (np.sqrt(self.second[k] / np.float32(two)) + np.float32(1e-8))
            np.subtract(p, np.float32(rate / one) * move, out=p)


def _wanted(shares: np.ndarray, kind: np.ndarray, own: float) -> np.ndarray:
    """What the probabilities (n, redshifts, kinds) should be, the right redshift first.

    ``own`` of it is the kind's; the rest lies within its class as the probabilities now lie there.
    """
    rows = np.arange(len(kind))
    made = np.zeros_like(shares)
    within = np.where(CLASS_OF[None] == CLASS_OF[kind][:, None], shares[:, 0], 0.0)
    made[:, 0] = (1.0 - own) * within / np.maximum(within.sum(1, keepdims=True), 1e-12)
    made[rows, 0, kind] += own
    return made


def learnt(
    value: np.ndarray,
    variance: np.ndarray,
    kind: np.ndarray,
    z: np.ndarray,
    rng: np.random.Generator,
    *,
    epochs: int = 3,
    wrong: int = 3,
    batch: int = 128,
    rate: float = 3e-3,
    drop: float = 0.1,
    decay: float = 1e-3,
    both: float = 0.5,
    own: float = 0.5,
) -> Perceptron:
    """Train one network.

    Of each spectrum it sees the right redshift and some wrong ones; the loss is minus the log probability of kind and
    redshift among all of these, and that of the kind at the right redshift, ``both`` and 1 - ``both``; in each, ``own``
    and 1 - ``own``, of the kind and of its class.
    """
    net = Perceptron(rng)
    right = np.rint(np.log1p(z) / STEP).astype(int)
    n, k = len(z), len(KINDS)
    steps = epochs * (n // batch)
    for epoch in range(epochs):
        order, loss = rng.permutation(n), 0.0
        for start in range(0, n - batch + 1, batch):
            chosen = np.sort(order[start : start + batch])
            x, v = value[chosen].astype(np.float32), variance[chosen].astype(np.float32)
            shifts = [np.clip(right[chosen] + rng.integers(-1, 2, batch), 0, SHIFTS - 1)]
            for j in range(wrong):
                other = rng.integers(0, SHIFTS if j == 0 else 75, batch)
                near = np.abs(other - right[chosen]) < 4
                shifts.append(np.where(near, right[chosen] + rng.integers(4, 12, batch), other))
            out = net.forward(np.concatenate([inputs(x, v, shift) for shift in shifts]), rng, drop)
            out = out.reshape(wrong + 1, batch, k).transpose(1, 0, 2)
            rows, y = np.arange(batch), kind[chosen]
            joint = np.exp(out - out.max((1, 2), keepdims=True))
            joint /= joint.sum((1, 2), keepdims=True)
            alone = np.exp(out[:, 0] - out[:, 0].max(1, keepdims=True))
            alone /= alone.sum(1, keepdims=True)
            loss -= float(np.log(joint[rows, 0, y] + 1e-9).mean())
            joint -= _wanted(joint, y, own)
            alone -= _wanted(alone[:, None], y, own)[:, 0]
            slope = both * joint
            slope[:, 0] += (1.0 - both) * alone
            now = len(order) // batch * epoch + start // batch + 1
            pace = rate * min(1.0, now / 200.0) * (0.5 + 0.5 * np.cos(np.pi * now / steps)) + 1e-5
            net.backward((slope / batch).transpose(1, 0, 2).reshape(-1, k).astype(np.float32), pace, decay)
        print(f"  epoch {epoch + 1}: {loss / (n // batch):.3f}", flush=True)
    return net
