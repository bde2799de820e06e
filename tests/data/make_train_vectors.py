#!/usr/bin/env python3
"""Makes train_vectors.gguf: what PyTorch computes, for tests/train/pytorch_test.cpp.

    make_train_vectors.py OUT.gguf        (needs python3-torch)

Inputs are f32 numbers, PyTorch computes in float64, results are rounded to f32. The file holds
  OP.INPUT, OP.y, OP.dy, OP.d_INPUT    every operation of src/offline/train/ops.hpp: gradients are of sum(y * dy)
  curve.*                              ten steps of AdamW on a tiny llama: parameters before and after, batches, losses
Token ids are stored as f32 too.
"""
import math
import sys

import numpy as np
import torch
import torch.nn.functional as F

from vectors_gguf import write_gguf

torch.manual_seed(20)
tensors = {}


def random(*shape, scale=1.0):
    return (scale * torch.randn(*shape)).float().double().requires_grad_()


def store(name, value):
    tensors[name] = np.atleast_1d(value.detach().numpy() if torch.is_tensor(value) else np.asarray(value)).astype(np.float32)


def record(op, inputs, y):
    """Gradients of sum(y * dy); of y itself where it is one number."""
    for name, x in inputs.items():
        store(f"{op}.{name}", x)
    store(f"{op}.y", y)
    if y.dim() == 0:
        y.backward()
    else:
        dy = random(*y.shape).detach()
        store(f"{op}.dy", dy)
        (y * dy).sum().backward()
    for name, x in inputs.items():
        if x.grad is not None:
            store(f"{op}.d_{name}", x.grad)


def rms_norm(x, weight, epsilon):
    return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + epsilon) * weight


def rope(x, theta, n_rot, halves):
    """x [sequences, length, heads, head_dim]; pairs (2i, 2i + 1), or (i, i + n_rot / 2)."""
    half = n_rot // 2
    angles = torch.arange(x.shape[1], dtype=torch.float64)[:, None] * theta ** (
        -2.0 * torch.arange(half, dtype=torch.float64) / n_rot)
    c, s = angles.cos()[None, :, None, :], angles.sin()[None, :, None, :]
    turned, rest = x[..., :n_rot], x[..., n_rot:]
    if halves:
        a, b = turned[..., :half], turned[..., half:]
        return torch.cat([a * c - b * s, a * s + b * c, rest], -1)
    a, b = turned[..., 0::2], turned[..., 1::2]
    return torch.cat([torch.stack([a * c - b * s, a * s + b * c], -1).flatten(-2), rest], -1)


def attention(q, k, v):
    """q [sequences, length, heads, head_dim], k and v with fewer heads; causal."""
    group = q.shape[2] // k.shape[2]
    k, v = k.repeat_interleave(group, 2), v.repeat_interleave(group, 2)
    scores = torch.einsum("sihd,sjhd->shij", q, k) / math.sqrt(q.shape[-1])
    mask = torch.ones(q.shape[1], q.shape[1]).triu(1).bool()
    return torch.einsum("shij,sjhd->sihd", scores.masked_fill(mask, -math.inf).softmax(-1), v)


def record_ops():
    tokens = torch.tensor([3, 0, 3, 6, 1])
    table = random(7, 20)
    record("embedding", {"table": table, "tokens": tokens}, table[tokens])
    x, weight = random(5, 24), random(24)
    record("rms_norm", {"x": x, "weight": weight}, rms_norm(x, weight, 1e-5))
    x, weight, bias = random(9, 33), random(21, 33), random(21)
    record("linear", {"x": x, "weight": weight, "bias": bias}, x @ weight.T + bias)
    for halves, name in ((False, "rope_interleaved"), (True, "rope_halves")):
        x = random(2, 7, 3, 8)
        record(name, {"x": x}, rope(x, 50.0, 6, halves))
    q, k, v = random(2, 70, 4, 8), random(2, 70, 2, 8), random(2, 70, 2, 8)
    record("attention", {"q": q, "k": k, "v": v}, attention(q, k, v))
    gate, up = random(50, scale=3.0), random(50)
    record("swiglu", {"gate": gate, "up": up}, F.silu(gate) * up)
    logits, targets = random(6, 37, scale=3.0), torch.tensor([3, -1, 36, 0, 12, -1])
    record("cross_entropy", {"logits": logits, "targets": targets}, F.cross_entropy(logits, targets, ignore_index=-1))
    teacher, logits = random(6, 37, scale=3.0).detach(), random(6, 37, scale=3.0)
    loss = F.kl_div(logits.log_softmax(-1), teacher.softmax(-1), reduction="batchmean")
    record("kl", {"teacher": teacher, "logits": logits}, loss)


D, LAYERS, HEADS, KV_HEADS, HEAD_DIM, FF, VOCAB = 16, 2, 4, 2, 4, 24, 32


def make_parameters():
    """As make_curve_config in the test; in the file's order."""
    shapes = {"token_embd.weight": (VOCAB, D), "output_norm.weight": (D,), "output.weight": (VOCAB, D)}
    for i in range(LAYERS):
        shapes |= {f"blk.{i}.attn_norm.weight": (D,), f"blk.{i}.attn_q.weight": (HEADS * HEAD_DIM, D),
                   f"blk.{i}.attn_k.weight": (KV_HEADS * HEAD_DIM, D), f"blk.{i}.attn_v.weight": (KV_HEADS * HEAD_DIM, D),
                   f"blk.{i}.attn_output.weight": (D, HEADS * HEAD_DIM), f"blk.{i}.ffn_norm.weight": (D,),
                   f"blk.{i}.ffn_gate.weight": (FF, D), f"blk.{i}.ffn_up.weight": (FF, D), f"blk.{i}.ffn_down.weight": (D, FF)}
    return {name: random(*shape, scale=0.3) if len(shape) == 2 else torch.ones(shape, dtype=torch.float64, requires_grad=True)
            for name, shape in shapes.items()}


def logits_of(p, tokens):
    n, length = tokens.shape
    x = p["token_embd.weight"][tokens]
    for i in range(LAYERS):
        w = lambda name: p[f"blk.{i}.{name}.weight"]
        h = rms_norm(x, w("attn_norm"), 1e-5)
        q = rope((h @ w("attn_q").T).view(n, length, HEADS, HEAD_DIM), 10000.0, HEAD_DIM, False)
        k = rope((h @ w("attn_k").T).view(n, length, KV_HEADS, HEAD_DIM), 10000.0, HEAD_DIM, False)
        v = (h @ w("attn_v").T).view(n, length, KV_HEADS, HEAD_DIM)
        x = x + attention(q, k, v).flatten(2) @ w("attn_output").T
        h = rms_norm(x, w("ffn_norm"), 1e-5)
        x = x + (F.silu(h @ w("ffn_gate").T) * (h @ w("ffn_up").T)) @ w("ffn_down").T
    return rms_norm(x, p["output_norm.weight"], 1e-5) @ p["output.weight"].T


def record_curve(steps=10, warmup=3, peak=1e-2, min_share=0.1, clip=0.5, decay=0.1):
    p = make_parameters()
    for name, value in p.items():
        store("curve.before." + name, value)
    groups = [{"params": [x for x in p.values() if x.dim() == 2], "weight_decay": decay},
              {"params": [x for x in p.values() if x.dim() == 1], "weight_decay": 0.0}]
    adam = torch.optim.AdamW(groups, lr=peak, betas=(0.9, 0.95), eps=1e-8)
    rows = torch.randint(0, VOCAB, (steps, 2, 13)) // 2
    targets = rows[:, :, 1:].clone()
    targets[:, 0, :4] = -1
    losses = []
    for step in range(steps):
        rate = peak * min(1.0, (step + 1) / warmup) * (min_share + (1 - min_share) * 0.5 * (1 + math.cos(math.pi * step / steps)))
        for group in adam.param_groups:
            group["lr"] = rate
        adam.zero_grad()
        loss = F.cross_entropy(logits_of(p, rows[step, :, :-1]).flatten(0, 1), targets[step].flatten(), ignore_index=-1)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(p.values(), clip)
        adam.step()
        losses.append(loss.item())
    store("curve.tokens", rows[:, :, :-1].reshape(steps, -1))
    store("curve.targets", targets.reshape(steps, -1))
    store("curve.losses", np.array(losses))
    for name, value in p.items():
        store("curve.after." + name, value)
    print("losses:", " ".join(f"{loss:.5f}" for loss in losses))


record_ops()
record_curve()
write_gguf(sys.argv[1], tensors)
