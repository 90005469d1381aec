"""Read `.npy` files that hold Python objects, without running what a pickle may ask for.

instant-nvr keeps cameras (`annots.npy`) and body parameters (`smpl_params/{i}.npy`) as pickled dictionaries, and
EasyMocap its caches (`*.pkl`). Only numpy arrays, numpy numbers, strings and plain containers are let through.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

_PLAIN_KINDS = "biufcSU"


class _Dtype:
    """Stands for `numpy.dtype`; numbers, strings and objects only."""

    def __init__(self, code: Any = None, *_: Any) -> None:
        self.code, self.order = code, "<"

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">", "|", "="):
            self.order = state[1]

    @property
    def holds_objects(self) -> bool:
        return isinstance(self.code, str) and self.code.startswith("O")

    def dtype(self) -> np.dtype:
        if not isinstance(self.code, str):
            raise pickle.UnpicklingError("array of a compound type")
        found = np.dtype(self.code)
        if found.kind not in _PLAIN_KINDS:
            raise pickle.UnpicklingError(f"array of type {self.code!r}")
        return found.newbyteorder(self.order)


class _Array:
    """Stands for `numpy.ndarray`."""

    def __init__(self, *_: Any) -> None:
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def value(self) -> np.ndarray:
        if not (isinstance(self.state, tuple) and len(self.state) == 5 and isinstance(self.state[2], _Dtype)):
            raise pickle.UnpicklingError("array without its content")
        _, shape, dtype, fortran, raw = self.state
        if not dtype.holds_objects:
            return _from_bytes(raw, dtype.dtype(), shape, "F" if fortran else "C")
        if not isinstance(raw, list):
            raise pickle.UnpicklingError("array of objects without a list of them")
        flat = np.empty(len(raw), object)
        for place, item in enumerate(raw):
            flat[place] = _plain(item)
        return flat.reshape(shape, order="F" if fortran else "C")


class _Call:
    """A function that a pickle may call but not alter."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *args: Any) -> Any:
        return self._function(*args)

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("refused to alter a function")


def _from_bytes(raw: Any, dtype: np.dtype, shape: Any, order: str) -> np.ndarray:
    if isinstance(raw, str):  # Python 2 bytes, read as latin1
        raw = raw.encode("latin1")
    if not isinstance(raw, (bytes, bytearray)):
        raise pickle.UnpicklingError("array without plain bytes")
    return np.frombuffer(bytes(raw), dtype).reshape(shape, order=order).copy(order="C")


def _scalar(dtype: Any, raw: Any = b"") -> Any:
    if not isinstance(dtype, _Dtype):
        raise pickle.UnpicklingError("number without a type")
    return _from_bytes(raw, dtype.dtype(), (1,), "C")[0]


def _from_buffer(raw: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray:
    if not isinstance(dtype, _Dtype) or order not in ("C", "F"):
        raise pickle.UnpicklingError("array without a type")
    return _from_bytes(raw, dtype.dtype(), shape, order)


def _latin1(text: Any, encoding: Any) -> bytes:
    """`_codecs.encode`, as old protocols use it to store bytes, and nothing else."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"refused to encode as {encoding!r}")
    return text.encode("latin1")


_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _Call(_latin1),
    **{
        (f"{core}.multiarray", name): _Call(function)
        for core in ("numpy.core", "numpy._core")
        for name, function in (("_reconstruct", lambda *_: _Array()), ("scalar", _scalar))
    },
    **{(f"{core}.numeric", "_frombuffer"): _Call(_from_buffer) for core in ("numpy.core", "numpy._core")},
    **{(module, kind.__name__): kind for module in ("builtins", "__builtin__") for kind in (set, frozenset, complex)},
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(
                f"refused to load {module}.{name}: such a file holds arrays, numbers, strings and plain containers "
                "only. It is of another kind, or hostile: do not open it with pickle"
            )
        return _ALLOWED[module, name]

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("refused a persistent id")


def _plain(value: Any) -> Any:
    if isinstance(value, _Array):
        return value.value()
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(item) for item in value)
    if isinstance(value, _Dtype):
        raise pickle.UnpicklingError("a type where a value is expected")
    return value


def _guarded(path: Path, read: Callable[[], Any]) -> Any:
    try:
        return read()
    except (pickle.UnpicklingError, ValueError, EOFError, AttributeError, LookupError, TypeError, ArithmeticError,
            MemoryError, RecursionError) as error:  # fmt: skip
        raise ValueError(f"{path}: cannot be read: {error or type(error).__name__}") from error


def load_npy(path: Path) -> Any:
    """Contents of a `.npy` file.

    Args:
        path: The file.

    Returns:
        An array; where the file holds one object in a 0-d array, as `np.save` of a dictionary does, that object.

    Raises:
        ValueError: The file is damaged, or asks for anything but numbers, strings and containers.
    """

    def read() -> Any:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            header = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }.get(version)
            if header is None:
                raise ValueError(f"format version {version}")
            shape, fortran, dtype = header(file)
            if not dtype.hasobject:
                file.seek(0)
                return np.lib.format.read_array(file, allow_pickle=False)
            found = _plain(_Unpickler(io.BytesIO(file.read()), encoding="latin1").load())
            if not isinstance(found, np.ndarray) or found.size != int(np.prod(shape)):
                raise ValueError(f"holds {type(found).__name__}, expected an array of shape {shape}")
            return found.item() if found.shape == () else found

    return _guarded(path, read)


def load_pkl(path: Path) -> Any:
    """Contents of a pickle of arrays and plain containers.

    Raises:
        ValueError: As of `load_npy`.
    """
    return _guarded(path, lambda: _plain(_Unpickler(io.BytesIO(path.read_bytes()), encoding="latin1").load()))


def save_npy(path: Path, content: Any) -> None:
    """Write a dictionary as the original does: one object in a 0-d array."""
    boxed = np.empty((), object)
    boxed[()] = content
    np.save(path, boxed, allow_pickle=True)
