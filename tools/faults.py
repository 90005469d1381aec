"""Errors of networks, told to whoever runs the job."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from workflow.errors import ContractError, ToolError


@contextmanager
def of_networks(label: str) -> Iterator[None]:
    """Turn what `model_zoo` raises about files, devices and memory into a ToolError.

    Args:
        label: Who works, as "stage/backend".

    Raises:
        ToolError: For a ValueError or a MemoryError inside; a broken contract stays what it is.
    """
    try:
        yield
    except ContractError:
        raise
    except (ValueError, MemoryError) as error:
        raise ToolError(f"{label}: {error}") from None
