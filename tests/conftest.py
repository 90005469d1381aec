"""What every test can rely on."""

import logging

import pytest


@pytest.fixture(autouse=True)
def _log_handlers_end_with_their_test():
    """The command line configures the root logger; its handlers write to a stream that ends with the test."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    root.handlers[:], root.level = before, level
    logging.captureWarnings(False)
