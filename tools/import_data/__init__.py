"""`python -m tools import`: other projects' recordings as artifacts. Imports workflow's core, model_zoo, tools.nvr."""
