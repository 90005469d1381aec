"""What is exactly in a rendered clip, as the artifacts of the stages: `load(params, files)` of `tools/truth/<stage>.py`
returns a callable that takes the clip's `Record` and then what a backend of that stage takes. No stage.

May import `workflow` core, `model_zoo`, and the crop's warp.
"""
