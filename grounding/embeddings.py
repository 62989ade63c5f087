"""Text to vectors, offline: hashed n-grams always work, MiniLM through ONNX where its weights are present.

Numbers and ids are masked before embedding. The name is recorded with every vector, and vectors of two names never
meet: changing the embedder means rebuilding the index.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from math import log1p
from pathlib import Path
from typing import Protocol, cast
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from analysis.templates import mask
from domain.errors import Invalid
from domain.ports import Embedder

# 1024 signed buckets keep collisions of a few hundred n-grams under a third (Weinberger et al. 2009, feature hashing).
WIDTH = 1024
# Character n-grams of 3 to 5 with word borders (fastText's range is 3 to 6).
GRAMS = (3, 4, 5)
_WORD = re.compile(r"[a-z][a-z0-9]*")
# MiniLM was trained on 256 word pieces at most.
MAX_PIECES = 256


class HashedNgrams:
    """The floor: words and character n-grams hashed into signed buckets, unit length. No weights, no network."""

    name = f"hashed-ngrams-{WIDTH}-v1"

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Return one unit vector per text; a text without words gives the first axis."""
        return [self._one(text).tolist() for text in texts]

    def _one(self, text: str) -> NDArray[np.float32]:
        vector = np.zeros(WIDTH, dtype=np.float32)
        for gram, count in Counter(_grams(mask(text).lower())).items():
            bucket = crc32(gram.encode())
            vector[bucket % WIDTH] += (1.0 if bucket & 0x80000000 else -1.0) * log1p(count)
        norm = float(np.linalg.norm(vector))
        if norm <= 0:
            vector[0] = norm = 1.0
        return vector / np.float32(norm)


class _Input(Protocol):
    name: str


class _Session(Protocol):
    """The part of onnxruntime's untyped session that is used."""

    def get_inputs(self) -> Sequence[_Input]: ...

    def run(self, outputs: None, fed: Mapping[str, NDArray[np.int64]]) -> Sequence[NDArray[np.float32]]: ...


class OnnxSentences:
    """A sentence transformer as ONNX with its tokenizer: mean of token vectors, unit length."""

    def __init__(self, folder: Path) -> None:
        from onnxruntime import InferenceSession
        from tokenizers import Tokenizer

        weights = folder / "model.onnx"
        if not weights.is_file() or not (folder / "tokenizer.json").is_file():
            raise Invalid(f"no model.onnx with tokenizer.json in {folder}", reason="embedding_weights_missing")
        self.name = f"onnx-{folder.name}-{sha256(weights.read_bytes()).hexdigest()[:12]}"
        self._session = cast(_Session, InferenceSession(str(weights), providers=["CPUExecutionProvider"]))
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(MAX_PIECES)  # pyright: ignore[reportUnknownMemberType]  # stub lacks kwargs
        self._tokenizer.enable_padding()  # pyright: ignore[reportUnknownMemberType]  # stub lacks kwargs
        self._wanted = frozenset(one.name for one in self._session.get_inputs())

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Return one unit vector per text."""
        if not texts:
            return []
        pieces = self._tokenizer.encode_batch([mask(text) for text in texts])
        ids = np.array([p.ids for p in pieces], dtype=np.int64)
        attention = np.array([p.attention_mask for p in pieces], dtype=np.int64)
        inputs = {"input_ids": ids, "attention_mask": attention, "token_type_ids": np.zeros_like(ids)}
        fed = {k: v for k, v in inputs.items() if k in self._wanted}
        states = np.asarray(self._session.run(None, fed)[0], np.float32)
        weight = attention[:, :, None].astype(np.float32)
        mean = (states * weight).sum(axis=1) / np.maximum(weight.sum(axis=1), 1e-9)
        return (mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-9)).tolist()


def embedder(folder: Path | None) -> Embedder:
    """Return the best embedder at hand: the folder's model when its files are there, else the floor."""
    if folder is not None and (folder / "model.onnx").is_file() and (folder / "tokenizer.json").is_file():
        return OnnxSentences(folder)
    return HashedNgrams()


def _grams(text: str) -> Iterator[str]:
    for word in _WORD.findall(text):
        yield word
        edged = f"<{word}>"
        for size in GRAMS:
            yield from (edged[i : i + size] for i in range(len(edged) - size + 1))
