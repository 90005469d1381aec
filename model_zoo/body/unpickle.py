"""Read the arrays of a pickled SMPL file without running what a pickle may ask for."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

from model_zoo.loading.pickles import FAULTS, Call, Reader, StandIn

_SPARSE = {
    "csc_matrix": scipy.sparse.csc_matrix,
    "csr_matrix": scipy.sparse.csr_matrix,
    "coo_matrix": scipy.sparse.coo_matrix,
}
_SPARSE_HOMES = ("scipy.sparse",) + tuple(
    f"scipy.sparse.{u}{kind}" for u in ("", "_") for kind in ("csc", "csr", "coo")
)
_MAX_BYTES = 2_000_000_000  # of one array; SMPL's largest is 35 MB


class _Chumpy(StandIn):
    """Stands for `chumpy.ch.Ch`; the array is `x` of its state."""

    def value(self, reader: Reader) -> np.ndarray:
        if not isinstance(self.state, dict) or "x" not in self.state:
            raise pickle.UnpicklingError("chumpy array without a value 'x'; only plain chumpy arrays can be read")
        value = reader.plain(self.state["x"])
        if not isinstance(value, np.ndarray):
            raise pickle.UnpicklingError(f"chumpy array whose value is {type(value).__name__}")
        return value


class _Sparse(StandIn):
    """Stands for a scipy sparse matrix; the real one is made from checked parts."""

    kind = ""

    def value(self, reader: Reader) -> np.ndarray:
        if not isinstance(self.state, dict):
            raise pickle.UnpicklingError(f"{self.kind} without its content")
        state = reader.plain(self.state)
        try:
            if self.kind == "coo_matrix":
                coordinates = state["coords"] if "coords" in state else (state["row"], state["col"])
                parts = (state["data"], tuple(coordinates))
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


def _rebuild(kind: Any, base: Any = None, state: Any = None) -> Any:
    """`copyreg._reconstructor`, for the stand-ins only."""
    if not (isinstance(kind, type) and issubclass(kind, (_Chumpy, _Sparse))) or state is not None:
        raise pickle.UnpicklingError(f"refused to rebuild an object of {kind!r}")
    return kind()


_SPARSE_STUBS = {kind: type(f"_{kind}", (_Sparse,), {"kind": kind}) for kind in _SPARSE}
_READER = Reader(
    "a body model may hold numpy arrays, scipy sparse matrices, chumpy arrays and plain containers",
    also={
        ("chumpy", "Ch"): _Chumpy,
        ("chumpy.ch", "Ch"): _Chumpy,
        **{(module, "object"): object for module in ("builtins", "__builtin__")},
        **{(module, "_reconstructor"): Call(_rebuild) for module in ("copyreg", "copy_reg")},
        **{(module, kind): stub for module in _SPARSE_HOMES for kind, stub in _SPARSE_STUBS.items()},
    },
)


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
    try:
        content = _READER.read(Path(path).read_bytes())
        if not isinstance(content, dict):
            raise pickle.UnpicklingError(f"holds {type(content).__name__}, expected a dictionary of arrays")
        return {str(key): value for key, value in content.items()}
    except FAULTS as error:
        raise ValueError(f"{path}: not a readable body model: {error or type(error).__name__}") from error
