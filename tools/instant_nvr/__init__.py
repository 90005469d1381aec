"""Data roots of instant-nvr as a stage. Imports workflow's core and tools.export."""
