"""mediapipe's chatter on standard error: caught, and only what is not known to be harmless passed on to the log."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import tempfile
from collections.abc import Iterator

logger = logging.getLogger(__name__)

HARMLESS = (
    "Created TensorFlow Lite XNNPACK delegate",
    "All log messages before absl::InitializeLog()",
    "Feedback manager requires a model with a single signature inference",
    "Using NORM_RECT without IMAGE_DIMENSIONS",  # regions here are square in pixels, which is the supported case
)


def unexpected(text: str) -> list[str]:
    """Return the lines of a captured log that are not on the list of harmless ones."""
    return [line for line in text.splitlines() if line.strip() and not any(known in line for known in HARMLESS)]


@contextlib.contextmanager
def hushed() -> Iterator[None]:
    """Catch what C++ code writes to file descriptor 2 and log what is not harmless, also when the block raises."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as caught:
        original = os.dup(2)
        os.dup2(caught.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(original, 2)
            os.close(original)
            caught.seek(0)
            for line in unexpected(caught.read().decode("utf-8", "replace")):
                logger.warning("mediapipe: %s", line)
