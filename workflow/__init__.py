"""What the pipeline is: artifacts, stages, configuration, layout.

The core imports the standard library and numpy only; `config` and `snake` also import pydantic.
"""
