"""Read the arrays of a pickled SMPL file without running what a pickle may ask for."""

import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

_SPARSE = {
    "csc_matrix": scipy.sparse.csc_matrix,
    "csr_matrix": scipy.sparse.csr_matrix,
    "coo_matrix": scipy.sparse.coo_matrix,
}
_SPARSE_HOMES = ("scipy.sparse",) + tuple(
    f"scipy.sparse.{u}{kind}" for u in ("", "_") for kind in ("csc", "csr", "coo")
)
_NUMERIC = "biufc"
_MAX_BYTES = 2_000_000_000  # of one array; SMPL's largest is 35 MB


class _Dtype:
    """Stands for `numpy.dtype`; only numbers, and never numpy's own `__setstate__`, which trusts its
    input.
    """

    def __init__(self, code: Any = None, *_: Any) -> None:
        self.code = code
        self.order = "<"

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">", "|", "="):
            self.order = state[1]

    def dtype(self) -> np.dtype:
        if not isinstance(self.code, str):
            raise pickle.UnpicklingError("array of a compound type; expected numbers")
        dtype = np.dtype(self.code)
        if dtype.kind not in _NUMERIC:
            raise pickle.UnpicklingError(f"array of type {self.code!r}; expected numbers")
        return dtype.newbyteorder(self.order)


class _Array:
    """Stands for `numpy.ndarray`."""

    def __init__(self, *_: Any) -> None:
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def array(self) -> np.ndarray:
        if not (isinstance(self.state, tuple) and len(self.state) == 5):
            raise pickle.UnpicklingError("array without its content")
        _, shape, dtype, fortran, raw = self.state
        return _array_from(raw, dtype, shape, "F" if fortran else "C")


class _Chumpy:
    """Stands for `chumpy.ch.Ch`; the array is `x` of its state."""

    def __init__(self, *_: Any) -> None:
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def array(self) -> np.ndarray:
        if not isinstance(self.state, dict) or "x" not in self.state:
            raise pickle.UnpicklingError("chumpy array without a value 'x'; only plain chumpy arrays can be read")
        value = _plain(self.state["x"])
        if not isinstance(value, np.ndarray):
            raise pickle.UnpicklingError(f"chumpy array whose value is {type(value).__name__}")
        return value


class _Sparse:
    """Stands for a scipy sparse matrix; the real one is made from checked parts."""

    kind = ""

    def __init__(self, *_: Any) -> None:
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def array(self) -> np.ndarray:
        if not isinstance(self.state, dict):
            raise pickle.UnpicklingError(f"{self.kind} without its content")
        state = {key: _plain(value) for key, value in self.state.items()}
        try:
            if self.kind == "coo_matrix":
                coordinates = state["coords"] if "coords" in state else (state["row"], state["col"])
                parts = (state["data"], tuple(_plain(index) for index in coordinates))
            else:
                parts = (state["data"], state["indices"], state["indptr"])
            shape = tuple(int(n) for n in state["_shape"])
            if len(shape) != 2 or shape[0] * shape[1] * 8 > _MAX_BYTES:
                raise pickle.UnpicklingError(f"{self.kind} of shape {shape}")
            matrix = _SPARSE[self.kind](parts, shape=shape)
            if self.kind != "coo_matrix":
                matrix.check_format(full_check=True)
        except KeyError as error:
            raise pickle.UnpicklingError(f"{self.kind} without {error}") from error
        return matrix.toarray()


_SPARSE_STUBS = {kind: type(f"_{kind}", (_Sparse,), {"kind": kind}) for kind in _SPARSE}


class _Call:
    """A function that a pickle may call but not alter."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *args: Any) -> Any:
        return self._function(*args)

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("refused to alter a function")


def _array_from(raw: Any, dtype: Any, shape: Any, order: str) -> np.ndarray:
    if isinstance(raw, str):  # Python 2 bytes, read as latin1
        raw = raw.encode("latin1")
    if not isinstance(raw, (bytes, bytearray)) or not isinstance(dtype, _Dtype) or order not in ("C", "F"):
        raise pickle.UnpicklingError("array without plain bytes; expected numbers")
    return np.frombuffer(bytes(raw), dtype.dtype()).reshape(shape, order=order).copy(order="C")


def _scalar(dtype: Any, raw: Any = b"") -> Any:
    return _array_from(raw, dtype, (1,), "C")[0]


def _latin1_bytes(text: Any, encoding: Any) -> bytes:
    """`_codecs.encode` as old protocols use it to store bytes, and nothing else."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"refused to encode as {encoding!r}")
    return text.encode("latin1")


def _rebuild(kind: Any, base: Any = None, state: Any = None) -> Any:
    """`copyreg._reconstructor`, for the stand-ins only."""
    if not (isinstance(kind, type) and issubclass(kind, (_Chumpy, _Sparse))) or state is not None:
        raise pickle.UnpicklingError(f"refused to rebuild an object of {kind!r}")
    return kind()


def _allowed() -> dict[tuple[str, str], Any]:
    allowed: dict[tuple[str, str], Any] = {
        ("numpy", "ndarray"): _Array,
        ("numpy", "dtype"): _Dtype,
        ("chumpy", "Ch"): _Chumpy,
        ("chumpy.ch", "Ch"): _Chumpy,
        ("_codecs", "encode"): _Call(_latin1_bytes),
    }
    for core in ("numpy.core", "numpy._core"):
        allowed[f"{core}.multiarray", "_reconstruct"] = _Call(lambda *args: _Array())
        allowed[f"{core}.multiarray", "scalar"] = _Call(_scalar)
        allowed[f"{core}.numeric", "_frombuffer"] = _Call(_array_from)
    for module in ("builtins", "__builtin__"):
        allowed |= {(module, kind.__name__): kind for kind in (set, frozenset, complex, object)}
    for module in ("copyreg", "copy_reg"):
        allowed[module, "_reconstructor"] = _Call(_rebuild)
    for module in _SPARSE_HOMES:
        allowed |= {(module, kind): stub for kind, stub in _SPARSE_STUBS.items()}
    return allowed


_ALLOWED = _allowed()


class _RestrictedUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(
                f"refused to load {module}.{name}: a body model may hold numpy arrays, scipy sparse matrices, chumpy "
                "arrays and plain containers only. The file is no body model, or it is hostile: do not open it with "
                "pickle."
            )
        return _ALLOWED[module, name]

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("refused a persistent id: a body model has none")


def load_pickle(path: Path | str) -> dict[str, Any]:
    """Read a pickled dictionary of arrays, such as `SMPL_NEUTRAL.pkl`.

    Python 2 pickles (latin1 strings), scipy sparse matrices and chumpy arrays are turned into numpy arrays.
    Nothing the file names is imported or called; chumpy is not needed.

    Args:
        path: The file.

    Returns:
        Name to array; strings, numbers and containers stay as they are.

    Raises:
        ValueError: The file is no such dictionary, is damaged, or asks for anything else to be loaded.
    """
    data = Path(path).read_bytes()
    try:
        content = _RestrictedUnpickler(io.BytesIO(data), encoding="latin1").load()
        if not isinstance(content, dict):
            raise pickle.UnpicklingError(f"holds {type(content).__name__}, expected a dictionary of arrays")
        return {str(key): _plain(value) for key, value in content.items()}
    except (pickle.UnpicklingError, ValueError, EOFError, AttributeError, LookupError, TypeError, ArithmeticError,
            MemoryError, RecursionError) as error:  # fmt: skip
        raise ValueError(f"{path}: not a readable body model: {error or type(error).__name__}") from error


def load_object(data: bytes, where: str) -> Any:
    """Read the pickle in a `.npy` file that holds one object, such as a dictionary of arrays.

    Args:
        data: What follows the header of the `.npy` file.
        where: Names the file in messages.

    Returns:
        The object; arrays in dictionaries are numpy arrays.

    Raises:
        ValueError: It is no single object, is damaged, or asks for anything else to be loaded.
    """
    try:
        found = _RestrictedUnpickler(io.BytesIO(data), encoding="latin1").load()
        held = found.state[4] if isinstance(found, _Array) and isinstance(found.state, tuple) else None
        if not (isinstance(held, list) and len(held) == 1):
            raise pickle.UnpicklingError("holds no single object")
        return _plain_within(held[0])
    except (pickle.UnpicklingError, ValueError, EOFError, AttributeError, LookupError, TypeError, ArithmeticError,
            MemoryError, RecursionError) as error:  # fmt: skip
        raise ValueError(f"{where}: not readable: {error or type(error).__name__}") from error


def _plain_within(value: Any) -> Any:
    return {str(k): _plain_within(v) for k, v in value.items()} if isinstance(value, dict) else _plain(value)


def _plain(value: Any) -> Any:
    return value.array() if isinstance(value, (_Array, _Chumpy, _Sparse)) else value
