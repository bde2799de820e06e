#!/usr/bin/env python3
"""Makes the folder encoder: small random BERT and MobileBERT models as Hugging Face keeps them, and what PyTorch computes.

    make_encoder_vectors.py OUT_DIR        (needs python3-torch)

The forward passes below follow the papers (arXiv 1810.04805, 2004.02984) and the semantics that the documentation of
transformers gives for config.json; they run in float64. Each model is a folder with config.json, model.safetensors, vocab.txt
and expected.safetensors:
  window.tokens [n]            WordPiece ids without specials;  window.states [n + 2, d]
  batch.tokens, batch.mask [chunks, length], batch.states [chunks, length, d]: only where the mask is 1
Ids and masks are stored as f32 too.
"""
import json
import math
import os
import struct
import sys

import numpy as np
import torch
import torch.nn.functional as F

N_VOCAB = 96


def random(*shape, scale=1.0, mean=0.0):
    """f32 numbers: what a file can hold."""
    return (mean + scale * torch.randn(*shape)).float()


def linear(weights, name, x):
    return F.linear(x, weights[name + ".weight"].double(), weights[name + ".bias"].double())


def norm(config, weights, name, x):
    weight, bias = weights[name + ".weight"].double(), weights[name + ".bias"].double()
    if config.get("normalization_type") == "no_norm":
        return x * weight + bias
    return F.layer_norm(x, weight.shape, weight, bias, config["layer_norm_eps"])


def attention(config, weights, name, query, key, value, mask):
    heads = config["num_attention_heads"]

    def split(x):
        return x.view(*x.shape[:-1], heads, -1).transpose(-2, -3)

    q = split(linear(weights, name + "self.query", query))
    k = split(linear(weights, name + "self.key", key))
    v = split(linear(weights, name + "self.value", value))
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    scores = scores.masked_fill(mask[:, None, None, :] == 0, float("-inf"))
    return (scores.softmax(-1) @ v).transpose(-2, -3).flatten(-2)


def activation(config, x):
    return F.relu(x) if config["hidden_act"] == "relu" else F.gelu(x)


def embed(config, weights, tokens):
    x = weights["embeddings.word_embeddings.weight"].double()[tokens]
    if config.get("trigram_input"):
        zeros = torch.zeros_like(x[:, :1])
        x = torch.cat([torch.cat([x[:, 1:], zeros], 1), x, torch.cat([zeros, x[:, :-1]], 1)], -1)
    if "embeddings.embedding_transformation.weight" in weights:
        x = linear(weights, "embeddings.embedding_transformation", x)
    x = x + weights["embeddings.position_embeddings.weight"].double()[: tokens.shape[1]]
    x = x + weights["embeddings.token_type_embeddings.weight"].double()[0]
    return norm(config, weights, "embeddings.LayerNorm", x)


def forward(config, weights, tokens, mask):
    """tokens, mask [chunks, length] -> states [chunks, length, hidden]"""
    x = embed(config, weights, tokens)
    for i in range(config["num_hidden_layers"]):
        layer = f"encoder.layer.{i}."
        query = key = value = inner = x
        if config.get("use_bottleneck"):
            inner = norm(config, weights, layer + "bottleneck.input.LayerNorm", linear(weights, layer + "bottleneck.input.dense", x))
            query = key = value = inner
            if not config["use_bottleneck_attention"]:
                query = key = norm(config, weights, layer + "bottleneck.attention.LayerNorm",
                                   linear(weights, layer + "bottleneck.attention.dense", x))
                value = x
        a = attention(config, weights, layer + "attention.", query, key, value, mask)
        a = norm(config, weights, layer + "attention.output.LayerNorm", linear(weights, layer + "attention.output.dense", a) + inner)
        for j in range(config.get("num_feedforward_networks", 1) - 1):
            ffn = f"{layer}ffn.{j}."
            up = activation(config, linear(weights, ffn + "intermediate.dense", a))
            a = norm(config, weights, ffn + "output.LayerNorm", linear(weights, ffn + "output.dense", up) + a)
        up = activation(config, linear(weights, layer + "intermediate.dense", a))
        a = norm(config, weights, layer + "output.LayerNorm", linear(weights, layer + "output.dense", up) + a)
        if config.get("use_bottleneck"):
            a = norm(config, weights, layer + "output.bottleneck.LayerNorm", linear(weights, layer + "output.bottleneck.dense", a) + x)
        x = a
    return x


class Weights(dict):
    def linear(self, name, n_out, n_in):
        self[name + ".weight"] = random(n_out, n_in, scale=1.2 / math.sqrt(n_in))
        self[name + ".bias"] = random(n_out, scale=0.1)

    def norm(self, name, n, mean=1.0):
        self[name + ".weight"] = random(n, scale=0.2, mean=mean)
        self[name + ".bias"] = random(n, scale=0.1)


def make_weights(config):
    h, ff = config["hidden_size"], config["intermediate_size"]
    mobile = config["model_type"] == "mobilebert"
    e = config["embedding_size"] if mobile else h
    bottleneck = config.get("use_bottleneck", False)
    d = config["intra_bottleneck_size"] if bottleneck else h
    value_in = h if bottleneck and not config["use_bottleneck_attention"] else d
    mean = 0.7 if config.get("normalization_type") == "no_norm" else 1.0
    w = Weights()
    w["embeddings.word_embeddings.weight"] = random(N_VOCAB, e)
    w["embeddings.word_embeddings.weight"][0] = 0  # padding_idx
    w["embeddings.position_embeddings.weight"] = random(config["max_position_embeddings"], h, scale=0.5)
    w["embeddings.token_type_embeddings.weight"] = random(2, h, scale=0.3)
    if mobile:
        w.linear("embeddings.embedding_transformation", h, 3 * e if config["trigram_input"] else e)
    w.norm("embeddings.LayerNorm", h, mean)
    for i in range(config["num_hidden_layers"]):
        layer = f"encoder.layer.{i}."
        w.linear(layer + "attention.self.query", d, d)
        w.linear(layer + "attention.self.key", d, d)
        w.linear(layer + "attention.self.value", d, value_in)
        w.linear(layer + "attention.output.dense", d, d)
        w.norm(layer + "attention.output.LayerNorm", d, mean)
        for j in range(config.get("num_feedforward_networks", 1) - 1):
            w.linear(f"{layer}ffn.{j}.intermediate.dense", ff, d)
            w.linear(f"{layer}ffn.{j}.output.dense", d, ff)
            w.norm(f"{layer}ffn.{j}.output.LayerNorm", d, mean)
        w.linear(layer + "intermediate.dense", ff, d)
        w.linear(layer + "output.dense", d, ff)
        w.norm(layer + "output.LayerNorm", d, mean)
        if bottleneck:
            w.linear(layer + "bottleneck.input.dense", d, h)
            w.norm(layer + "bottleneck.input.LayerNorm", d, mean)
            if not config["use_bottleneck_attention"]:
                w.linear(layer + "bottleneck.attention.dense", d, h)
                w.norm(layer + "bottleneck.attention.LayerNorm", d, mean)
            w.linear(layer + "output.bottleneck.dense", h, d)
            w.norm(layer + "output.bottleneck.LayerNorm", h, mean)
    return w


def write_safetensors(path, tensors):
    header, data = {}, b""
    for name, value in tensors.items():
        bytes_ = np.asarray(value, dtype="<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(value.shape), "data_offsets": [len(data), len(data) + len(bytes_)]}
        data += bytes_
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def vocabulary():
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokens += [chr(c) for c in range(ord("a"), ord("z") + 1)] + ["##" + chr(c) for c in range(ord("a"), ord("z") + 1)]
    tokens += list("0123456789.,!?-")
    tokens += [f"word{i}" for i in range(N_VOCAB - len(tokens))]
    return tokens


def expected(config, weights):
    tokens = torch.randint(5, N_VOCAB, (12,))
    with_specials = torch.cat([torch.tensor([2]), tokens, torch.tensor([3])])[None]
    batch = torch.randint(5, N_VOCAB, (3, 10))
    mask = torch.ones(3, 10, dtype=torch.long)
    mask[1, 6:] = 0  # padding at the end, as usual
    mask[2, :3] = 0  # and at the beginning
    batch[mask == 0] = 0
    out = {"window.tokens": tokens, "batch.tokens": batch, "batch.mask": mask}
    out["window.states"] = forward(config, weights, with_specials, torch.ones_like(with_specials))[0]
    out["batch.states"] = forward(config, weights, batch, mask) * mask[..., None]
    return out


def make(folder, config, prefix, extra):
    os.makedirs(folder, exist_ok=True)
    weights = make_weights(config)
    write_safetensors(f"{folder}/model.safetensors", {prefix + k: v for k, v in weights.items()} | extra)
    write_safetensors(f"{folder}/expected.safetensors", expected(config, weights))
    with open(f"{folder}/config.json", "w") as file:
        json.dump(config, file, indent=1)
    with open(f"{folder}/vocab.txt", "w") as file:
        file.write("\n".join(vocabulary()) + "\n")


def main():
    torch.manual_seed(31)
    out = sys.argv[1]
    common = {"vocab_size": N_VOCAB, "max_position_embeddings": 20, "type_vocab_size": 2, "layer_norm_eps": 1e-12}
    bert = {"model_type": "bert", "architectures": ["BertForTokenClassification"], "hidden_size": 32, "num_hidden_layers": 2,
            "num_attention_heads": 4, "intermediate_size": 64, "hidden_act": "gelu"} | common
    make(f"{out}/bert", bert, "bert.", {"classifier.weight": random(2, 32), "classifier.bias": random(2)})
    mobile = {"model_type": "mobilebert", "architectures": ["MobileBertModel"], "hidden_size": 40, "embedding_size": 16,
              "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48, "intra_bottleneck_size": 24,
              "num_feedforward_networks": 2, "hidden_act": "relu", "normalization_type": "no_norm", "trigram_input": True,
              "use_bottleneck": True, "use_bottleneck_attention": False, "key_query_shared_bottleneck": True} | common
    make(f"{out}/mobilebert", mobile, "", {})
    plain = mobile | {"architectures": ["MobileBertForMaskedLM"], "num_hidden_layers": 1, "hidden_act": "gelu",
                      "normalization_type": "layer_norm", "trigram_input": False, "use_bottleneck_attention": True}
    make(f"{out}/mobilebert_variant", plain, "mobilebert.", {"cls.predictions.bias": random(N_VOCAB)})


main()
