"""The bundled video diffusion model (MIMO, arXiv 2409.16160): modules, schedules, sampling and its checkpoint files.
May import torch, diffusers, safetensors, OpenCV and other rooms of `model_zoo`; knows no shard and no stage.
"""
