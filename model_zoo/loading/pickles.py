"""Pickles read without running what they may ask for: numbers, strings, numpy arrays and plain containers only.

A pickle names functions and classes and has them called. Here every name is looked up in a short table; what stands in
it is a stand-in that keeps the state it is given, and what the states mean is worked out afterwards.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Mapping
from typing import IO, Any

import numpy as np

NUMBERS = "biufc"  # kinds of arrays
TEXT = "SU"
_ORDERS = ("<", ">", "|", "=")
FAULTS = (
    pickle.UnpicklingError, ValueError, EOFError, AttributeError, LookupError, TypeError, ArithmeticError, MemoryError,
    RecursionError,
)  # fmt: skip  # what a damaged or hostile file makes the reader raise


class StandIn:
    """Stands for a class that a pickle names; keeps its state and does nothing."""

    def __init__(self, *_: Any) -> None:
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def value(self, reader: Reader) -> Any:
        """What the state means, in plain values.

        Raises:
            pickle.UnpicklingError: It means nothing that such a file may hold.
        """
        raise NotImplementedError


class _Dtype:
    """Stands for `numpy.dtype`; never numpy's own `__setstate__`, which trusts its input."""

    def __init__(self, code: Any = None, *_: Any) -> None:
        self.code, self.order = code, "<"

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, tuple) and len(state) > 1 and state[1] in _ORDERS:
            self.order = state[1]


class _Array(StandIn):
    """Stands for `numpy.ndarray`."""

    def value(self, reader: Reader) -> np.ndarray:
        if not (isinstance(self.state, tuple) and len(self.state) == 5):
            raise pickle.UnpicklingError("array without its content")
        _, shape, dtype, fortran, raw = self.state
        order = "F" if fortran else "C"
        if not (reader.objects and isinstance(dtype, _Dtype) and str(dtype.code).startswith("O")):
            return reader.array(raw, dtype, shape, order)
        if not isinstance(raw, list):
            raise pickle.UnpicklingError("array of objects without a list of them")
        flat = np.empty(len(raw), object)
        for place, item in enumerate(raw):
            flat[place] = reader.plain(item)
        return flat.reshape(shape, order=order)


class Call:
    """A function that a pickle may call but not alter."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *args: Any) -> Any:
        """What the function gives."""
        return self._function(*args)

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("refused to alter a function")


def _latin1(text: Any, encoding: Any) -> bytes:
    """`_codecs.encode`, as old protocols use it to store bytes, and nothing else."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"refused to encode as {encoding!r}")
    return text.encode("latin1")


class Reader:
    """Reads pickles of one kind."""

    def __init__(
        self, holds: str, kinds: str = NUMBERS, objects: bool = False, also: Mapping[tuple[str, str], Any] | None = None
    ) -> None:
        """Say what such a file may hold.

        Args:
            holds: For messages: "a body model may hold arrays ... only".
            kinds: Kinds of arrays, as letters of `numpy.dtype.kind`.
            objects: Whether arrays may hold objects, which are read under the same rules.
            also: Further names, as module and name, and what stands for them: subclasses of `StandIn`, or `Call`.
        """
        self.holds, self.kinds, self.objects = holds, kinds, objects
        self.allowed: dict[tuple[str, str], Any] = {
            ("numpy", "ndarray"): _Array,
            ("numpy", "dtype"): _Dtype,
            ("_codecs", "encode"): Call(_latin1),
        }
        for core in ("numpy.core", "numpy._core"):
            self.allowed[f"{core}.multiarray", "_reconstruct"] = Call(lambda *_: _Array())
            self.allowed[f"{core}.multiarray", "scalar"] = Call(self._scalar)
            self.allowed[f"{core}.numeric", "_frombuffer"] = Call(self.array)
        for module in ("builtins", "__builtin__"):
            self.allowed |= {(module, kind.__name__): kind for kind in (set, frozenset, complex)}
        self.allowed |= dict(also or {})

    def read(self, data: bytes) -> Any:
        """Content of a pickle; strings of Python 2 are taken for latin1.

        Raises:
            One of `FAULTS`: It is damaged, or asks for anything else to be loaded.
        """
        return self.plain(_Unpickler(self, data).load())

    def plain(self, value: Any) -> Any:
        """A value without stand-ins, containers within containers too."""
        if isinstance(value, StandIn):
            return value.value(self)
        if isinstance(value, dict):
            return {self.plain(key): self.plain(item) for key, item in value.items()}
        if type(value) in (list, tuple, set, frozenset):
            return type(value)(self.plain(item) for item in value)
        if isinstance(value, (_Dtype, Call, type)):
            raise pickle.UnpicklingError("a type or a function where a value is expected")
        return value

    def array(self, raw: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray:
        """Array from its bytes.

        Raises:
            pickle.UnpicklingError: These are no bytes of an array of the kinds allowed.
        """
        if isinstance(raw, str):  # Python 2 bytes, read as latin1
            raw = raw.encode("latin1")
        if not isinstance(dtype, _Dtype) or not isinstance(dtype.code, str):
            raise pickle.UnpicklingError("array of a compound type; expected numbers")
        found = np.dtype(dtype.code)
        if found.kind not in self.kinds:
            raise pickle.UnpicklingError(f"array of type {dtype.code!r}; expected numbers")
        if not isinstance(raw, (bytes, bytearray)) or order not in ("C", "F"):
            raise pickle.UnpicklingError("array without plain bytes; expected numbers")
        values = np.frombuffer(bytes(raw), found.newbyteorder(dtype.order))
        return values.reshape(shape, order=order).copy(order="C")

    def _scalar(self, dtype: Any, raw: Any = b"") -> Any:
        return self.array(raw, dtype, (1,), "C")[0]


class _Unpickler(pickle.Unpickler):
    def __init__(self, reader: Reader, data: bytes) -> None:
        super().__init__(io.BytesIO(data), encoding="latin1")
        self._reader = reader

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._reader.allowed:
            raise pickle.UnpicklingError(
                f"refused to load {module}.{name}: {self._reader.holds} only. The file is of another kind, or it is "
                "hostile: do not open it with pickle"
            )
        return self._reader.allowed[module, name]

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("refused a persistent id: such a file has none")


PLAIN = Reader("such a file holds arrays, numbers, strings and plain containers", NUMBERS + TEXT, objects=True)


def read_npy(file: IO[bytes], where: str) -> Any:
    """Content of a `.npy` file, which may hold objects.

    Args:
        file: The file, at its beginning; it can be sought in.
        where: Names it in messages.

    Returns:
        An array; where the file holds one object in a 0-d array, as `np.save` of a dictionary does, that object.

    Raises:
        ValueError: It is damaged, or asks for anything but numbers, strings and containers.
    """
    try:
        version = np.lib.format.read_magic(file)
        headers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        if version not in headers:
            raise ValueError(f"format version {version}")
        shape, _, dtype = headers[version](file)
        if not dtype.hasobject:
            file.seek(0)
            return np.lib.format.read_array(file, allow_pickle=False)
        found = PLAIN.read(file.read())
        if not isinstance(found, np.ndarray) or found.size != int(np.prod(shape)):
            raise ValueError(f"holds {type(found).__name__}, expected an array of shape {shape}")
        return found.item() if found.shape == () else found
    except FAULTS as error:
        raise ValueError(f"{where}: cannot be read: {error or type(error).__name__}") from error
