#!/usr/bin/env python3
"""Makes encoder_train_vectors.gguf: what PyTorch computes, for tests/train/encoder_test.cpp.

    make_encoder_train_vectors.py OUT.gguf        (needs python3-torch)

As make_train_vectors.py: inputs are f32, PyTorch computes in float64, results are rounded to f32.
"""
import math
import sys

import numpy as np
import torch
import torch.nn.functional as F

from vectors_gguf import write_gguf

torch.manual_seed(21)
tensors = {}
LENGTHS = (70, 1, 9)


def random(*shape, scale=1.0):
    return (scale * torch.randn(*shape)).float().double().requires_grad_()


def store(name, value):
    tensors[name] = np.atleast_1d(value.detach().numpy()).astype(np.float32)


def record(op, inputs, y):
    for name, x in inputs.items():
        store(f"{op}.{name}", x)
    store(f"{op}.y", y)
    dy = torch.ones_like(y) if y.dim() == 0 else random(*y.shape).detach()
    store(f"{op}.dy", dy)
    (y * dy).sum().backward()
    for name, x in inputs.items():
        if x.grad is not None:
            store(f"{op}.d_{name}", x.grad)


def packed_attention(q, k, v):
    """[n_tokens, heads, head_dim]; every sequence alone, without a mask."""
    outs, begin = [], 0
    for n in LENGTHS:
        a, b, c = (x[begin:begin + n].transpose(0, 1) for x in (q, k, v))
        outs.append(((a @ b.transpose(1, 2) / math.sqrt(q.shape[-1])).softmax(-1) @ c).transpose(0, 1))
        begin += n
    return torch.cat(outs)


x, weight, bias = random(5, 24), random(24), random(24)
record("layer_norm", {"x": x, "weight": weight, "bias": bias}, F.layer_norm(x, (24,), weight, bias, 1e-5))
x = random(1100, scale=3.0)
record("gelu", {"x": x}, F.gelu(x))
q, k, v = (random(sum(LENGTHS), 2, 8) for _ in range(3))
record("packed_attention", {"q": q, "k": k, "v": v}, packed_attention(q, k, v))
logits, labels, weights = random(40, scale=4.0), torch.rand(40).float().double(), torch.rand(40).float().double()
weights[::3] = 0
record("binary", {"logits": logits, "labels": labels, "weights": weights},
       F.binary_cross_entropy_with_logits(logits, labels, weights, reduction="sum"))

write_gguf(sys.argv[1], tensors)
