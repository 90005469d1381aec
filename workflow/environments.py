"""Software environments: the packages each dependency set asks for. `python -m tools docs` writes `envs/` from it.

Versions come from `envs/plain.pin.txt`, the one set that was seen to hold together; a dependency set is the part of
it that its packages need. NVIDIA builds of torch bring their own libraries.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Environment:
    """One dependency set.

    Attributes:
        packages: What the code imports, as PyPI names.
        without: Dependencies of those packages that nothing here uses.
        purpose: One line for the documents.
    """

    packages: tuple[str, ...]
    purpose: str
    without: tuple[str, ...] = ()


_CODECS = ("numcodecs", "google-crc32c")  # what a shard is read with
_VIDEO = ("numpy", "zstandard", "opencv-contrib-python-headless", "ffmpeg-python", "imageio-ffmpeg", "tqdm")

# mediapipe asks for these; its `solutions` use neither, and a desktop OpenCV needs system libraries.
_UNUSED_BY_MEDIAPIPE = ("jax", "jaxlib", "sounddevice", "opencv-contrib-python", "matplotlib")

ENVIRONMENTS: dict[str, Environment] = {
    "core": Environment((*_VIDEO, "scenedetect", "scipy", "numba"), "decoding and array work", ("opencv-python",)),
    "keypoints-mediapipe": Environment(
        (*_VIDEO, "mediapipe", "matplotlib", "scipy", "numba"), "MediaPipe", _UNUSED_BY_MEDIAPIPE
    ),
    "body": Environment((*_VIDEO, "torch", "smplx", "anny", "numba", "libigl", "scipy"), "body model and fit"),
    "networks": Environment(
        (*_VIDEO, "torch", "safetensors", "scipy", "numba"), "published networks in modules of our own"
    ),
    "networks-onnx": Environment(
        (*_VIDEO, "torch", "safetensors", "onnxruntime", "numba", "scipy"), "published networks as TorchScript and ONNX"
    ),
    "onnx": Environment((*_VIDEO, "onnxruntime", "numba", "scipy"), "published networks as ONNX"),
    "dataset": Environment((*_VIDEO, "zarr", "pyarrow", *_CODECS, "jinja2", "pillow", "numba"), "shards and report"),
    "accuracy": Environment(
        (*_VIDEO, "scenedetect", "mediapipe", "matplotlib", "torch", "smplx", "anny", "numba", "libigl", "scipy",
         "safetensors", "onnxruntime", "jinja2", "pillow", "pyyaml"),
        "all stages in one process, to judge them",
        (*_UNUSED_BY_MEDIAPIPE[:4], "opencv-python"),
    ),
    "train": Environment(
        (*_VIDEO, "torch", "diffusers", "transformers", "accelerate", "safetensors", "zarr", "pyarrow", *_CODECS,
         "matplotlib", "tensorboard", "numba", "scipy"),
        "trainer",
    ),
}  # fmt: skip
