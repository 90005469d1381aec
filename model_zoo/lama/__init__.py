"""LaMa inpainting from a TorchScript file, as `simple-lama-inpainting` 0.1.2 runs it, cut back to the input's size."""
