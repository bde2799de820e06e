#!/usr/bin/env python3
"""export_encoder.py LxD OUT.onnx: a BERT-shaped encoder with random weights, for onnx.mjs (needs python3-torch)."""
import math
import sys

import torch
from torch import nn


class Layer(nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.output = (nn.Linear(d, d) for _ in range(4))
        self.up, self.down = nn.Linear(d, 4 * d), nn.Linear(4 * d, d)
        self.attention_norm, self.norm = nn.LayerNorm(d), nn.LayerNorm(d)

    def forward(self, x):
        def split(y):
            return y.view(1, -1, self.heads, y.shape[-1] // self.heads).transpose(1, 2)

        q, k, v = split(self.query(x)), split(self.key(x)), split(self.value(x))
        weights = (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).softmax(-1)
        a = (weights @ v).transpose(1, 2).reshape(1, -1, x.shape[-1])
        x = self.attention_norm(x + self.output(a))
        return self.norm(x + self.down(nn.functional.gelu(self.up(x))))


class Encoder(nn.Module):
    def __init__(self, layers, d):
        super().__init__()
        self.tokens, self.positions, self.norm = nn.Embedding(1000, d), nn.Embedding(512, d), nn.LayerNorm(d)
        self.layers = nn.ModuleList(Layer(d, d // (32 if d < 768 else 64)) for _ in range(layers))

    def forward(self, ids):
        x = self.norm(self.tokens(ids) + self.positions(torch.arange(ids.shape[1])))
        for layer in self.layers:
            x = layer(x)
        return x


n_layers, size = map(int, sys.argv[1].split("x"))
torch.manual_seed(1)
torch.onnx.export(Encoder(n_layers, size).eval(), torch.zeros(1, 512, dtype=torch.long), sys.argv[2], opset_version=13,
                  input_names=["ids"], output_names=["states"])
