"""Canonical assets of a clip."""
