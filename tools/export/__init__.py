"""`python -m tools export`: shards in other projects' layouts. Imports workflow's core, model_zoo and tools.nvr."""
