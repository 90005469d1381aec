"""What of mediapipe's output on standard error reaches the log."""

import logging
import os

import pytest

from tools.chatter import hushed, unexpected


def test_known_chatter_is_dropped_and_the_rest_kept():
    text = "INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n\nE0000 something broke\n"
    assert unexpected(text) == ["E0000 something broke"]


def test_descriptor_two_is_caught_and_restored(capfd, caplog):
    with caplog.at_level(logging.WARNING), hushed():
        os.write(2, b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\nW0000 out of paper\n")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"
    assert [record.getMessage() for record in caplog.records] == ["mediapipe: W0000 out of paper"]


def test_errors_pass_and_the_log_is_kept(capfd, caplog):
    with caplog.at_level(logging.WARNING), pytest.raises(RuntimeError, match="boom"), hushed():
        os.write(2, b"F0000 cause\n")
        raise RuntimeError("boom")
    assert "F0000 cause" in caplog.text
    assert capfd.readouterr().err == ""
