"""Who, how they move, and where: each from a clip of the shards or from a file, put together for the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from model_zoo.body.smpl import SmplModel
from model_zoo.diffusion import cutout, motion_file, staging
from model_zoo.diffusion.config import MimoConfig
from model_zoo.diffusion.motion_file import MotionFile
from model_zoo.diffusion.pictures import LAYERS, ClipArrays, Placement, clip_arrays, reference_picture
from tools.sample import clips, footage
from tools.sample.clips import Source
from tools.subject import frame_scores, subjects
from workflow.errors import ToolError
from workflow.stages.train import VIDEO_FILES, SampleParams, is_file

FPS = 24.0  # of a video whose motion and scene are both files

Found = TypeVar("Found")


@dataclass(frozen=True)
class Cutout:
    """A subject given as a picture: (H, W, 3) uint8 and its mask (H, W), bool."""

    rgb: np.ndarray
    human: np.ndarray


@dataclass(frozen=True)
class Control:
    """What was asked for, found and read.

    Attributes:
        motion: Clip, or a recorded motion.
        identity: Clip, or a cut-out.
        scene: Clip, picture (H, W, 3), or the path of a video.
        names: Name of each of the three, for people.
    """

    motion: Source | MotionFile
    identity: Source | Cutout
    scene: Source | np.ndarray | Path
    names: Mapping[str, str]

    @property
    def held_out(self) -> bool:
        """Whether the model was not trained on the clip that gives the motion."""
        return not isinstance(self.motion, Source) or self.motion.split in clips.HELD_OUT


@dataclass(frozen=True)
class Driven:
    """Conditions of a video, its frame rate, and frames (T, H, W, 3) of the driving clip, None without one."""

    arrays: ClipArrays
    fps: float
    driver: np.ndarray | None


def chosen(params: SampleParams, sources: Sequence[Source]) -> Control:
    """Find and read what the settings name.

    Raises:
        ToolError: Lists everything that is missing or unusable.
    """
    faults: list[str] = []

    def tried(where: str, get: Callable[[], Found]) -> Found | None:
        try:
            return get()
        except (ToolError, ValueError) as error:
            faults.append(f"  {where}: {error}")
            return None

    names = {name: getattr(params, name) or params.clip for name in ("motion", "identity", "scene")}
    base: Source | None = None
    if params.clip:
        base = tried("clip", lambda: clips.find(sources, params.clip))
    elif not all(names.values()):
        base = clips.held_out(sources)

    def one(name: str, read: Callable[[Path], Found]) -> Source | Found | None:
        value = getattr(params, name)
        if not value:
            return base
        return tried(name, (lambda: read(Path(value))) if is_file(value) else (lambda: clips.find(sources, value)))

    motion = one("motion", motion_file.read)
    identity = one(
        "identity", lambda path: _cut_out(path, Path(params.identity_mask) if params.identity_mask else None)
    )
    scene = one("scene", _scene_file)
    if isinstance(motion, Source) and not motion.valid().any():
        faults.append(f"  motion: clip {motion.clip.id} has no valid frame; choose another")
    if faults:
        raise ToolError("sample:\n" + "\n".join(faults))
    assert motion is not None and identity is not None and scene is not None
    told = {
        name: f"{found.clip.id} ({found.split})" if isinstance(found, Source) else Path(names[name]).name
        for name, found in (("motion", motion), ("identity", identity), ("scene", scene))
    }
    return Control(motion, identity, scene, told)


def _cut_out(path: Path, mask: Path | None) -> Cutout:
    picture = footage.picture(path)
    return Cutout(picture[..., :3], cutout.person(picture, None if mask is None else footage.mask(mask)))


def _scene_file(path: Path) -> np.ndarray | Path:
    if not path.name.lower().endswith(VIDEO_FILES):
        return footage.picture(path)[..., :3]
    footage.video(path, FPS, 1, (16, 16))  # a video that cannot be read is told now, with the other faults
    return path


def gathered(control: Control, frames: int, config: MimoConfig, body: Mapping[str, np.ndarray]) -> Driven:
    """Conditions for the model.

    A motion from a clip keeps that clip's camera, whatever the scene. A motion from a file stands where the scene's
    subject stood, or, in a scene from a file, is fitted into the picture before a level camera.

    Args:
        control: From `chosen`.
        frames: T at most.
        config: The model's.
        body: Arrays of the body model file.

    Raises:
        ToolError: A file cannot be read to its end.
    """
    motion, scene = control.motion, control.scene
    if isinstance(motion, Source):
        start = clips.best_start(motion.valid(), frames)
        length = min(frames, motion.clip.length)
        layers = motion.shard.read_window(motion.clip, start, length, LAYERS)
        fps, driver = motion.clip.fps, layers["rgb"]
        betas = motion.shard.read_clip(motion.clip, ("betas",))["betas"]
        size = (motion.shard.height, motion.shard.width)
        if scene is not motion:
            layers.update(_scene(scene, length, size, fps, 0))
    else:
        fps = scene.clip.fps if isinstance(scene, Source) else FPS
        motion = staging.resampled(motion, fps, frames)
        length = len(motion)
        size = (scene.shard.height, scene.shard.width) if isinstance(scene, Source) else (config.height, config.width)
        begin = clips.best_start(scene.valid(), length) if isinstance(scene, Source) else 0
        layers = _scene(scene, length, size, fps, begin)
        betas = _betas(motion, control.identity)
        stage = _stage(scene, length, size, begin)
        put = staging.put(motion, stage, SmplModel.from_arrays(dict(body)), betas, size)
        layers |= {
            "human": np.zeros((length, *size), bool),
            "valid": np.ones(length, bool),
            "global_orient": put.global_orient,
            "body_pose": put.body_pose,
            "transl": put.transl,
            "intrinsics": stage.intrinsics,
        }
        driver = None
    arrays = clip_arrays(layers, betas, _reference(control.identity, config, body), config, length)
    if driver is not None:
        place = Placement.cover(driver.shape[1:3], (config.height, config.width))
        driver = np.stack([place.picture(frame) for frame in driver])
    return Driven(arrays, float(fps), driver)


def _scene(
    scene: Source | np.ndarray | Path, length: int, size: tuple[int, int], fps: float, begin: int
) -> dict[str, np.ndarray]:
    """`rgb`, `scene` and `occluder` of a size; a shorter scene runs forth and back."""
    if isinstance(scene, Source):
        count = min(length, scene.clip.length - begin)
        found = scene.shard.read_window(scene.clip, begin, count, ("rgb", "scene", "occluder"))
        place = Placement.cover((scene.shard.height, scene.shard.width), size)
        if (scene.shard.height, scene.shard.width) != size:
            found["occluder"] = found["occluder"].astype(np.float32)
            found = {name: np.stack([place.picture(frame) for frame in values]) for name, values in found.items()}
            found["occluder"] = found["occluder"] >= 0.5
        index = clips.there_and_back(count, length)
        return {name: values[index] for name, values in found.items()}
    if isinstance(scene, Path):
        shown = footage.video(scene, fps, length, size)
        shown = shown[clips.there_and_back(len(shown), length)]
    else:
        filled = Placement.cover(scene.shape[:2], size).picture(scene)
        shown = np.broadcast_to(filled, (length, *filled.shape))
    return {"rgb": shown, "scene": shown, "occluder": np.zeros((length, *size), bool)}


def _stage(scene: Source | np.ndarray | Path, length: int, size: tuple[int, int], begin: int) -> staging.Stage:
    if not isinstance(scene, Source):
        return staging.default_stage(*size, length)
    count = min(length, scene.clip.length - begin)
    known = scene.shard.read_window(scene.clip, begin, count, ("joints", "valid", "intrinsics"))
    intrinsics = known["intrinsics"][clips.there_and_back(count, length)].astype(np.float64)
    if not known["valid"].any():  # nobody to stand in for
        default = staging.default_stage(*size, length)
        return staging.Stage(intrinsics, None, default.up)
    return staging.where_stood(known["joints"][known["valid"]].astype(np.float64), intrinsics)


def _betas(motion: MotionFile, identity: Source | Cutout) -> np.ndarray:
    """Shape of the body that moves: the subject's where a clip knows it, else the file's, else the mean."""
    if isinstance(identity, Source):
        return identity.shard.read_clip(identity.clip, ("betas",))["betas"].astype(np.float64)
    return np.zeros(10) if motion.betas is None else motion.betas


def _reference(identity: Source | Cutout, config: MimoConfig, body: Mapping[str, np.ndarray]) -> np.ndarray:
    if isinstance(identity, Cutout):
        return reference_picture(identity.rgb, identity.human, config.reference_size)
    best = int(frame_scores(identity.shard, identity.clip).argmax())
    return subjects(config, body).picture(identity.shard, identity.clip, best, config.reference_size)
