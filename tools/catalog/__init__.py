"""The catalog's tools: look at videos, cut them into clips, keep the log. Imports workflow's core and the decoder."""
