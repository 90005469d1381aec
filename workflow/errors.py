"""The project's errors, one for each reader, and the rejection of a clip, which is data."""

from __future__ import annotations


class ConfigError(ValueError):
    """For the user: `config.yaml` is wrong. Raised before any job starts."""


class ContractError(ValueError):
    """For the author of a backend: an artifact is malformed or of another version."""


class ToolError(RuntimeError):
    """For whoever runs it: an external program or the machine failed; says what to do."""


class Rejected(Exception):
    """A clip cannot be used, and why. A backend raises it; the runner records it and goes on."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
