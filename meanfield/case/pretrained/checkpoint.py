"""A folder with a pretrained transformer: config.json and its weights, read layer by layer."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from meanfield.arguments import checked_arguments
from meanfield.case.pretrained.families import FAMILIES, PARTS, Family
from meanfield.case.pretrained.tensors import Tensors, json_table
from meanfield.checks import as_found
from meanfield.errors import InputError, suggest
from meanfield.interaction.pretrained import (
    ACTS,
    Affine,
    Block,
    FeedForward,
    MultiHead,
    Norm,
    Transformer,
)

__all__ = ["Checkpoint"]

_NORMS = ("first", "second")
_MOST = 100_000  # of any size


class Checkpoint:
    """A folder in the Hugging Face layout: names and shapes are checked, numbers are read later.

    Args:
        folder: with config.json and model.safetensors, or several files and their index.

    Attributes:
        folder, family: path; a name of ``FAMILIES``.
        d: dimension of the tokens (hidden_size).
        heads, layers, width: heads of a layer, layers, units of the perceptron.
        act, eps: activation; of the layer norms.
        shared: whether all layers are the same.

    Raises:
        InputError: no such folder, an unknown family or activation, a tensor that is missing or of
            another shape.

    Example:
        >>> mf.Checkpoint('gpt2').describe()  # doctest: +SKIP
    """

    @checked_arguments
    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            above = self.folder.parent
            near = [one.name for one in above.iterdir() if one.is_dir()] if above.is_dir() else []
            raise InputError(f"found no folder {self.folder}{suggest(self.folder.name, near)}")
        self._config = json_table(self.folder / "config.json")
        self.family = self._named("model_type", self._config.get("model_type"), FAMILIES)
        self._names: Family = FAMILIES[self.family]
        self._read_config()
        self._tensors = Tensors(self.folder)
        self._prefix = self._found_prefix()
        self._check_shapes()
        self._kept: dict[int, Block] = {}  # one layer: of BERT in its base size 57 MB

    # ------------------------------------------------------------------ config.json

    def _named(self, key: str, value: object, known: Iterable[str]) -> str:
        names = list(known)
        if value not in names:
            near = suggest(value, names) if isinstance(value, str) else ""
            raise InputError(
                f"{self.folder / 'config.json'}: found {as_found(value)} for {key}, expected "
                f"one of {', '.join(names)}{near}"
            )
        return str(value)

    def _number(self, key: str) -> object:
        name = self._names.numbers[key]
        if name in self._config:
            return self._config[name]
        if key in self._names.defaults:
            return self._names.defaults[key]
        near = suggest(name, self._config)
        raise InputError(f"{self.folder / 'config.json'}: found no {name}{near}, expected a number")

    def _whole(self, key: str) -> int:
        value = self._number(key)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MOST:
            raise InputError(
                f"{self.folder / 'config.json'}: found {as_found(value)} for "
                f"{self._names.numbers[key]}, expected a whole number from 1 to {_MOST}"
            )
        return value

    def _read_config(self) -> None:
        where, names = self.folder / "config.json", self._names
        for key, value in names.only.items():
            if self._config.get(key, value) not in (value, None):
                raise InputError(
                    f"{where}: found {as_found(self._config[key])} for {key}, expected {value!r}: "
                    "no other is known"
                )
        self.d, self.heads = self._whole("d"), self._whole("heads")
        if self.d % self.heads:
            raise InputError(
                f"{where}: found {names.numbers['d']} = {self.d} with {names.numbers['heads']} = "
                f"{self.heads}, expected a multiple of it"
            )
        self.width = 4 * self.d if self._number("width") is None else self._whole("width")
        self.act = self._named(names.numbers["act"], self._number("act"), ACTS)
        eps = self._number("eps")
        if isinstance(eps, bool) or not isinstance(eps, int | float) or not 0.0 <= eps < 1.0:
            raise InputError(
                f"{where}: found {as_found(eps)} for {names.numbers['eps']}, expected a number "
                "from 0 to 1"
            )
        self.eps = float(eps)
        self._groups = self._whole("groups") if names.grouped else 1
        self._inside = self._whole("inside") if names.grouped else 1
        self._outer_layers = self._whole("layers")
        self.layers = self._outer_layers * self._inside
        self.shared = names.grouped and self._groups * self._inside == 1

    # ------------------------------------------------------------------ tensors

    def _owner(self, part: str, layer: int = 0) -> str:
        """Name of what a part of a layer is in the files."""
        outer, inside = divmod(layer, self._inside)
        group = outer * self._groups // self._outer_layers
        name = self._names.tensors[part]
        return self._prefix + name.format(l=layer, g=group, i=inside)

    def _found_prefix(self) -> str:
        """What stands before all names: of a model with a head on it that of its family."""
        for prefix in ("", *self._names.prefixes):
            self._prefix = prefix
            if f"{self._owner('query')}.weight" in self._tensors.shapes:
                return prefix
        return self._names.prefixes[0]

    def _check_shapes(self) -> None:
        d, w, flip, fused = self.d, self.width, self._names.transposed, self._names.fused
        rows = {"query": (d, d), "key": (d, d), "value": (d, d), "output": (d, d)}
        if fused:
            rows = {"query": (3 * d, d), "output": (d, d)}
        rows |= {"inner": (w, d), "outer": (d, w)}
        for layer in range(self.layers):
            for part, (m, n) in rows.items():
                owner = self._owner(part, layer)
                self._tensors.refuse_shape(owner, "weight", (n, m) if flip else (m, n))
                self._tensors.refuse_shape(owner, "bias", (m,))
            for part in _NORMS:
                for of in ("weight", "bias"):
                    self._tensors.refuse_shape(self._owner(part, layer), of, (d,))
        if "last" in self._names.tensors:
            for of in ("weight", "bias"):
                self._tensors.refuse_shape(self._owner("last"), of, (d,))

    def _affine(self, part: str, layer: int) -> Affine:
        owner = self._owner(part, layer)
        matrix, shift = self._tensors.read(owner, "weight"), self._tensors.read(owner, "bias")
        return Affine(matrix.T if self._names.transposed else matrix, shift)

    def _norm(self, part: str, layer: int = 0) -> Norm:
        owner = self._owner(part, layer)
        read = self._tensors.read
        return Norm(read(owner, "weight"), read(owner, "bias"), self.eps)

    def _entry(self, layer: int, first: Norm, second: Norm) -> Norm:
        """By what the tokens that a layer takes have been normalised, at its first place."""
        if self._names.pre:
            return first
        if self.shared:
            return second
        if layer > 0:
            return self._norm("second", layer - 1)
        embedded = "entry" in self._names.tensors and self._tensors.name(
            self._owner("entry"), "weight"
        )
        fits = bool(embedded) and self._tensors.shapes[str(embedded)] == (self.d,)
        return self._norm("entry") if fits else second

    # ------------------------------------------------------------------ what there is

    @checked_arguments
    def block(self, layer: int) -> Block:
        """A layer, 0 <= layer < ``layers``; the last one is kept.

        Raises:
            InputError: there is no such layer, or what is in the files cannot be used.
        """
        if not 0 <= layer < self.layers:
            raise InputError(f"layer: found {layer}, expected one from 0 to {self.layers - 1}")
        layer = 0 if self.shared else layer
        if layer not in self._kept:
            self._kept.clear()  # before another one is read
            self._kept[layer] = self._made(layer)
        return self._kept[layer]

    def _made(self, layer: int) -> Block:
        if self._names.fused:
            whole, d = self._affine("query", layer), self.d
            parts = {
                name: Affine(whole.matrix[k * d : (k + 1) * d], whole.shift[k * d : (k + 1) * d])
                for k, name in enumerate(PARTS[:3])
            }
        else:
            parts = {name: self._affine(name, layer) for name in PARTS[:3]}
        attention = MultiHead(
            parts["query"], parts["key"], parts["value"], self._affine("output", layer), self.heads
        )
        perceptron = FeedForward(
            self._affine("inner", layer), self._affine("outer", layer), self.act
        )
        first, second = self._norm("first", layer), self._norm("second", layer)
        return Block(
            attention, perceptron, first, second, self._entry(layer, first, second),
            self._names.pre, self._names.causal,
        )  # fmt: skip

    @checked_arguments
    def transformer(self, repeats: bool = False) -> Transformer:
        """All layers; with ``repeats`` the first one comes after the last one."""
        last = self._norm("last") if "last" in self._names.tensors else None
        post = repeats and not (self._names.pre or self.shared)
        return Transformer(
            self.d, self.layers, self.block, self._names.causal, last, self.shared, repeats,
            self.describe(), self._norm("second", self.layers - 1) if post else None,
        )  # fmt: skip

    def describe(self) -> str:
        """A few words."""
        return f"pretrained {self.family}, {self.layers} layers, {self.heads} heads, d = {self.d}"
