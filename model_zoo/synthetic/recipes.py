"""A clip in a few words: who does what, where, before which camera, behind what. `Take` films it."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy.ndimage import gaussian_filter1d

from model_zoo.body.smpl import SmplModel
from model_zoo.synthetic import camera as cameras
from model_zoo.synthetic import moves
from model_zoo.synthetic.camera import Camera
from model_zoo.synthetic.dressed import DressedBody, Outfit
from model_zoo.synthetic.gait import walk
from model_zoo.synthetic.materials import linear
from model_zoo.synthetic.mesh import PLAIN, PLANKS, STRIPES, Material, Mesh, box, cylinder, sphere
from model_zoo.synthetic.motion import Motion, Skeleton, curve
from model_zoo.synthetic.recordings import Recording, recorded
from model_zoo.synthetic.render import Actor, FrameTruth, Prop, Renderer, Shot
from model_zoo.synthetic.scenes import photographed, room, street

PLACES = ("room", "street", "photo")
CAMERAS = ("static", "panning", "handheld", "dolly")
ACTIONS = ("walk", "approach", "leave", "wave", "squat", "twist", "turn", "dance", "sit")
OCCLUDERS = ("none", "pole", "table", "ball")
COMPANY = ("none", "behind", "front")

_TALL = 1.75  # m, what the picture is framed for
_SPEED = 1.0  # m/s
_EYE = 1.25  # m, height of the camera
_MIDDLE = 0.9  # m, height the camera looks at
_CUT_DEG, _CUT_NEARER = 62.0, 0.85  # how the view after a cut differs
_SEATED = 0.6  # rad, where somebody who sits down faces
_GROUND_Z = {"room": -0.35, "street": -1.1, "photo": 0.0}  # where the subject stands

_SKINS = ((0.86, 0.68, 0.57), (0.80, 0.60, 0.49), (0.70, 0.50, 0.38), (0.52, 0.36, 0.27), (0.38, 0.26, 0.20))
_HAIRS = ((0.17, 0.11, 0.07), (0.48, 0.31, 0.15), (0.07, 0.06, 0.06), (0.62, 0.48, 0.28), (0.45, 0.43, 0.42))
_SHIRTS = (
    (0.72, 0.24, 0.20), (0.20, 0.36, 0.58), (0.88, 0.76, 0.30), (0.22, 0.45, 0.36), (0.86, 0.86, 0.88),
    (0.30, 0.20, 0.42), (0.16, 0.17, 0.20),
)  # fmt: skip
_TROUSERS = ((0.20, 0.26, 0.42), (0.19, 0.20, 0.25), (0.50, 0.44, 0.34), (0.26, 0.33, 0.30), (0.30, 0.18, 0.20))
_SHOES = ((0.32, 0.19, 0.12), (0.80, 0.80, 0.80), (0.12, 0.12, 0.13))


@dataclass(frozen=True)
class Recipe:
    """One clip.

    Attributes:
        name: Name of the clip.
        place: One of `PLACES`.
        camera: One of `CAMERAS`.
        action: One of `ACTIONS`.
        occluder: One of `OCCLUDERS`.
        company: Whether another person passes behind the subject or in front, one of `COMPANY`.
        recording: Name of a recorded motion that takes the place of the action; empty for none.
        start_s: Where in the recording the clip begins.
        person: Seed of shape, outfit and, for a dance, motion.
        height: px, even.
        width: px, even.
        frames: T.
        fps: Frames per second.
        focal: Focal length over the shorter side of the picture; 1.2 is usual, 0.7 wide, 2.5 tele.
        fill: Share of the picture's height that the standing subject takes.
        azimuth_deg: Direction the camera looks from, about the subject; 0 is the front, positive to the camera's right.
        exposure: Factor on the light.
        grain: Picture noise, see `Shot`.
        shutter: Pictures averaged into each frame; above 1 makes motion blur over half a frame's time.
        crf: Constant rate factor of the H.264 video; 16 is good, 38 is bad.
        seed: Of textures, grain and hand shake.
        photo: Name of the photograph that is round the place `photo`; empty elsewhere.
        cut: Frame at which a camera from another side takes over; 0 for none.
        k1: Of the lens, see `Camera.distortion`; negative bends straight lines outwards like a barrel.
        k2: Likewise.
    """

    name: str
    place: str = "room"
    camera: str = "static"
    action: str = "walk"
    occluder: str = "none"
    company: str = "none"
    recording: str = ""
    start_s: float = 0.0
    person: int = 0
    height: int = 640
    width: int = 480
    frames: int = 40
    fps: float = 20.0
    focal: float = 1.2
    fill: float = 0.72
    azimuth_deg: float = 0.0
    exposure: float = 1.0
    grain: float = 4.0
    shutter: int = 1
    crf: int = 16
    seed: int = 0
    photo: str = ""
    cut: int = 0
    k1: float = 0.0
    k2: float = 0.0

    def faults(self) -> list[str]:
        """What cannot be shot, each in one line."""
        found = []
        for key, legal in (("place", PLACES), ("camera", CAMERAS), ("action", ACTIONS), ("occluder", OCCLUDERS),
                           ("company", COMPANY)):  # fmt: skip
            if getattr(self, key) not in legal:
                found.append(f"{key}: is {getattr(self, key)!r}, expected one of {', '.join(legal)}")
        for key, low, high in (("height", 64, 4096), ("width", 64, 4096), ("frames", 2, 100_000), ("shutter", 1, 16),
                               ("focal", 0.3, 10.0), ("fill", 0.1, 1.5), ("fps", 1.0, 240.0), ("crf", 0, 51),
                               ("exposure", 0.01, 10.0), ("grain", 0.0, 100.0),
                               ("azimuth_deg", -180.0, 180.0)):  # fmt: skip
            if not low <= getattr(self, key) <= high:
                found.append(f"{key}: is {getattr(self, key)}, expected {low} to {high}")
        if self.height % 2 or self.width % 2:
            found.append(f"height, width: are {self.height}, {self.width}, expected even numbers")
        if not 0 <= self.cut < self.frames:
            found.append(f"cut: is {self.cut}, expected 0 to {self.frames - 1}")
        if bool(self.photo) != (self.place == "photo"):
            found.append(f"photo: is {self.photo!r}, place is {self.place!r}; one needs the other")
        return found or self.lens().faults()

    def lens(self) -> Camera:
        """The camera, without a place."""
        focal_px = self.focal * min(self.height, self.width)
        k = cameras.intrinsics(self.height, self.width, focal_px)
        return Camera(self.height, self.width, k, np.eye(4)[None], (self.k1, self.k2))

    def at(self, **changes: object) -> Recipe:
        """The same with other values."""
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]


@dataclass(frozen=True)
class _Stage:
    """Geometry that the parts of a shot share: where the subject stands and how far the camera is."""

    recipe: Recipe
    origin: np.ndarray = field(default_factory=lambda: np.zeros(2))

    @property
    def focal_px(self) -> float:
        return self.recipe.focal * min(self.recipe.height, self.recipe.width)

    @property
    def distance(self) -> float:
        """Camera to subject, m."""
        return self.focal_px * _TALL / (self.recipe.fill * self.recipe.height)

    @property
    def half_width(self) -> float:
        """Half of what the picture spans at the subject, m."""
        return 0.5 * self.recipe.width / self.focal_px * self.distance


def person(model: SmplModel, seed: int) -> DressedBody:
    """Somebody: shape within the shape space, and an outfit; the same for the same seed."""
    rng = np.random.default_rng([7, seed])
    betas = np.zeros(10)
    betas[:4] = np.clip(rng.normal(0.0, 0.7, 4), -1.4, 1.4)
    shirt = _SHIRTS[rng.integers(len(_SHIRTS))]
    striped = rng.random() < 0.35
    outfit = Outfit(
        skin=_SKINS[rng.integers(len(_SKINS))],
        hair=_HAIRS[rng.integers(len(_HAIRS))],
        shirt=shirt,
        shirt_stripe=_SHIRTS[rng.integers(len(_SHIRTS))] if striped else shirt,
        trousers=_TROUSERS[rng.integers(len(_TROUSERS))],
        shoes=_SHOES[rng.integers(len(_SHOES))],
        sleeve=float(rng.uniform(0.3, 0.95)),
        stripe_m=float(rng.uniform(0.03, 0.06)),
    )
    return DressedBody(model, betas, outfit)


def shoot(
    recipe: Recipe, model: SmplModel, recording: Recording | None = None, photo: np.ndarray | None = None
) -> Shot:
    """What is before the camera, at the recipe's rate; sharp, whatever its shutter.

    Args:
        recipe: The clip.
        model: The body.
        recording: The motion that the recipe names.
        photo: The photograph that the recipe names, (h, w, 3) float32, linear light.

    Raises:
        ValueError: The recipe cannot be shot.
    """
    faults = recipe.faults()
    if bool(recipe.recording) != (recording is not None):
        faults.append(f"recording: is {recipe.recording!r}, but {'none' if recording is None else 'one'} was given")
    if bool(recipe.photo) != (photo is not None):
        faults.append(f"photo: is {recipe.photo!r}, but {'none' if photo is None else 'one'} was given")
    if faults:
        raise ValueError(f"{recipe.name}: " + "; ".join(faults))
    stage = _Stage(recipe, np.array([0.0, _GROUND_Z[recipe.place]]))
    body = person(model, recipe.person)
    if recording is None:
        motion = _ACT[recipe.action](stage, body.skeleton)
    else:
        motion = recorded(recording, body, recipe.frames, recipe.fps, stage.origin, recipe.start_s)
    things, props = _in_front(stage)
    if photo is None:
        scene = (room() if recipe.place == "room" else street()).with_things(things)
    else:
        scene = photographed(photo).with_things(things)
    others = () if recipe.company == "none" else (_passer_by(stage, model),)
    return Shot(
        recipe.name, recipe.fps, scene, _camera(stage, motion), Actor(body, motion), others, props, recipe.grain,
        recipe.seed, recipe.exposure, recipe.cut,
    )  # fmt: skip


def sampled(shot: Shot, moments: np.ndarray, fps: float) -> Shot:
    """Some of a shot's frames, as a shot of another rate; moments are frame numbers (T,)."""

    def kept(actor: Actor) -> Actor:
        m = actor.motion
        return Actor(
            actor.body,
            Motion(m.global_orient[moments], m.body_pose[moments], m.transl[moments], m.contacts[moments]),
        )

    camera = dataclasses.replace(shot.camera, world_from_camera=shot.camera.world_from_camera[moments])
    cut = int(np.searchsorted(moments, shot.cut)) if shot.cut else 0
    return dataclasses.replace(
        shot, fps=fps, camera=camera, subject=kept(shot.subject), others=tuple(map(kept, shot.others)),
        props=tuple(Prop(prop.mesh, prop.places[moments]) for prop in shot.props), cut=cut,
    )  # fmt: skip


class Take:
    """A recipe, filmed: pictures with the shutter's blur, and the truth in the middle of each exposure.

    Attributes:
        recipe: What is filmed.
        shot: One frame for each picture, sharp.
    """

    def __init__(
        self,
        recipe: Recipe,
        model: SmplModel,
        samples: int = 2,
        recording: Recording | None = None,
        photo: np.ndarray | None = None,
    ) -> None:
        """Prepare; `samples` as in `Renderer`, `recording` and `photo` as in `shoot`."""
        self.recipe = recipe
        self._pieces = recipe.shutter
        self._stride = 1 if recipe.shutter == 1 else 2 * recipe.shutter  # the shutter is open half of the time
        fine = recipe.at(
            fps=recipe.fps * self._stride, frames=recipe.frames * self._stride, cut=recipe.cut * self._stride, shutter=1
        )
        whole = shoot(fine, model, recording, photo)
        middle = np.arange(recipe.frames) * self._stride + self._pieces // 2
        self.shot = sampled(whole, middle, recipe.fps) if self._stride > 1 else whole
        self._renderer = Renderer(whole, samples)
        self._levels = linear(np.arange(256) / 255.0).astype(np.float32)

    def __len__(self) -> int:
        return self.recipe.frames

    def twin(self) -> Take:
        """The same for another thread: an object serves one."""
        made = copy.copy(self)
        made._renderer = Renderer(self._renderer.shot, self._renderer.samples)
        return made

    def both(self, t: int) -> tuple[np.ndarray, np.ndarray]:
        """`frame` and `background` in less time than one after the other."""
        if self._pieces == 1:
            return self._renderer.both(t * self._stride)
        return self.frame(t), self.background(t)

    def frame(self, t: int) -> np.ndarray:
        """Picture t, (H, W, 3) uint8, RGB."""
        return self._exposed(self._renderer.frame, t)

    def background(self, t: int) -> np.ndarray:
        """Picture t without the subject, as long exposed, see `Renderer.background`."""
        return self._exposed(self._renderer.background, t)

    def truth(self, t: int) -> FrameTruth:
        """What picture t shows, in the middle of its exposure."""
        return self._renderer.truth(t * self._stride + self._pieces // 2)

    def _exposed(self, picture: Callable[[int], np.ndarray], t: int) -> np.ndarray:
        """Mean of the light of the pictures while the shutter is open."""
        first = t * self._stride
        if self._pieces == 1:
            return picture(first)
        light = sum(self._levels[picture(first + n)] for n in range(self._pieces)) / self._pieces
        return np.searchsorted(0.5 * (self._levels[1:] + self._levels[:-1]), light).astype(np.uint8)


# --- what the subject does -----------------------------------------------------------------------------------


def _seconds(stage: _Stage) -> float:
    return stage.recipe.frames / stage.recipe.fps


def _walked(stage: _Stage, skeleton: Skeleton, path: Callable, phase: float = 0.0) -> Motion:
    return walk(skeleton, path, stage.recipe.frames, stage.recipe.fps, phase=phase)


def _walk(stage: _Stage, skeleton: Skeleton) -> Motion:
    """Across the picture, a little towards the camera; a moving camera lets it begin anywhere."""
    towards = np.deg2rad(72.0)
    middle = 0.5 * _seconds(stage)

    def path(times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        done = _SPEED * (times - middle)
        return stage.origin + np.stack([done * np.sin(towards), done * np.cos(towards)], 1), np.full(
            len(times), towards
        )

    return _walked(stage, skeleton, path)


def _approach(stage: _Stage, skeleton: Skeleton) -> Motion:
    """Towards the camera, slightly aslant."""
    middle = 0.5 * _seconds(stage)
    speed = min(_SPEED, 0.35 * stage.distance / _seconds(stage))

    def path(times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        done = speed * (times - middle)
        return stage.origin + np.stack([0.25 * done, done], 1), np.full(len(times), 0.25)

    return _walked(stage, skeleton, path)


def _leave(stage: _Stage, skeleton: Skeleton) -> Motion:
    """Out of the picture at the right and back."""
    length, out = _seconds(stage), stage.half_width + 0.5
    keys = [(-1.0, -0.5), (0.0, 0.0), (0.38 * length, out), (0.5 * length, out + 0.12), (0.62 * length, out),
            (length, 0.0), (length + 1.0, -0.5)]  # fmt: skip

    def path(times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x = curve(times, keys)
        heading = curve(times, [(0.44 * length, 1.35), (0.56 * length, -1.35)])
        return stage.origin + np.stack([x, 0 * x], 1), heading

    return walk(skeleton, path, stage.recipe.frames, stage.recipe.fps, cycles_per_s=1.15)


def _on_the_spot(move: Callable[..., Motion], heading: float, **more: float) -> Callable[[_Stage, Skeleton], Motion]:
    def act(stage: _Stage, skeleton: Skeleton) -> Motion:
        x, z = stage.origin
        return move(skeleton, stage.recipe.frames, stage.recipe.fps, (x, z), heading, **more)

    return act


def _dance(stage: _Stage, skeleton: Skeleton) -> Motion:
    x, z = stage.origin
    return moves.dance(skeleton, stage.recipe.frames, stage.recipe.fps, (x, z), 0.15, stage.recipe.person)


_ACT: dict[str, Callable[[_Stage, Skeleton], Motion]] = {
    "walk": _walk,
    "approach": _approach,
    "leave": _leave,
    "wave": _on_the_spot(moves.wave, 0.1),
    "squat": _on_the_spot(moves.squat, 0.35),
    "twist": _on_the_spot(moves.twist, -0.2),
    "turn": _on_the_spot(moves.turn_round, 0.0, turns=0.6),
    "dance": _dance,
    "sit": _on_the_spot(moves.sit_down, _SEATED),
}


# --- what else is there --------------------------------------------------------------------------------------


def _passer_by(stage: _Stage, model: SmplModel) -> Actor:
    """Another person who crosses the picture from right to left."""
    recipe = stage.recipe
    body = person(model, recipe.person + 1000)
    nearer = -1.1 if recipe.company == "behind" else min(0.55, 0.3 * stage.distance)
    scale = (stage.distance - nearer) / stage.distance
    reach = scale * stage.half_width + 0.3
    length = _seconds(stage)

    def path(times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x = reach * (1.0 - 2.0 * times / length)
        return stage.origin + np.stack([x, np.full(len(times), nearer)], 1), np.full(len(times), -np.pi / 2)

    return Actor(body, walk(body.skeleton, path, recipe.frames, recipe.fps, cycles_per_s=1.1, phase=0.2))


def _in_front(stage: _Stage) -> tuple[list[Mesh], tuple[Prop, ...]]:
    """Things before the subject: standing ones, and ones that move."""
    recipe, (x, z) = stage.recipe, stage.origin
    still, props = _hiding(stage)
    if recipe.action == "sit" and not recipe.recording:
        wood = Material(PLANKS, (0.45, 0.30, 0.18), (0.25, 0.16, 0.09), 0.12, 0.2)
        back = np.array([x, z]) - 0.47 * np.array([np.sin(_SEATED), np.cos(_SEATED)])
        still.append(box((back[0] - 0.2, 0.0, back[1] - 0.2), (back[0] + 0.2, 0.42, back[1] + 0.2), wood, True))
    return still, props


def _hiding(stage: _Stage) -> tuple[list[Mesh], tuple[Prop, ...]]:
    recipe, (x, z) = stage.recipe, stage.origin
    if recipe.occluder == "pole":
        metal = Material(PLAIN, (0.13, 0.22, 0.20), rough=0.1)
        foot = (x - 0.06, 0.0, z + 0.45 * stage.distance)
        return [cylinder(foot, 3.2, 0.03, metal, True), cylinder(foot, 0.22, 0.06, metal, True)], ()
    if recipe.occluder == "table":
        wood = Material(PLANKS, (0.50, 0.33, 0.19), (0.30, 0.19, 0.10), 0.15, 0.2)
        front = z + min(0.6, 0.3 * stage.distance)
        top = box((x - 0.55, 0.62, front - 0.16), (x + 0.75, 0.67, front + 0.30), wood, True)
        board = box((x - 0.50, 0.18, front + 0.02), (x + 0.70, 0.62, front + 0.06), wood, True)
        return [top, board], ()
    if recipe.occluder == "ball":
        ball = sphere((0, 0, 0), 0.14, Material(STRIPES, (0.85, 0.30, 0.15), (0.92, 0.90, 0.85), 0.1, 0.05), True)
        share = np.arange(recipe.frames) / max(recipe.frames - 1, 1)
        reach = 0.8 * stage.half_width
        bounce = 0.14 + 0.85 * np.abs(np.cos(np.pi * 2.5 * share))
        depth = np.full(recipe.frames, z + 0.3 * stage.distance)
        return [], (Prop(ball, np.stack([x + reach * (1.0 - 2.0 * share), bounce, depth], 1)),)
    return [], ()


def _camera(stage: _Stage, motion: Motion) -> Camera:
    """The camera of every frame."""
    recipe, (x, z) = stage.recipe, stage.origin
    count = recipe.frames
    times = np.arange(count) / recipe.fps
    length = _seconds(stage)
    position = np.tile(np.array([x + 0.15, _EYE, z + stage.distance]), (count, 1))
    target = np.tile(np.array([x, _MIDDLE, z]), (count, 1))
    if recipe.camera == "panning":
        followed = gaussian_filter1d(motion.transl[:, [0, 2]], 0.25 * recipe.fps, axis=0, mode="nearest")
        target[:, [0, 2]] = x, z
        target[:, 0] += 0.8 * (followed[:, 0] - x) + (0.25 * np.sin(0.9 * times) if _stands(motion) else 0.0)
    elif recipe.camera == "dolly":
        along = times / max(length, 1e-9) - 0.5
        position += np.stack([0.55 * along, 0.08 * along, -0.35 * along], 1) * stage.distance / 2.25
    elif recipe.camera == "handheld":
        rng = np.random.default_rng([11, recipe.seed])
        pad = int(2 * recipe.fps)
        shake = rng.standard_normal((count + 2 * pad, 6))
        slow = gaussian_filter1d(shake, 0.35 * recipe.fps, axis=0)[pad:-pad]
        quick = gaussian_filter1d(shake[::-1], 0.09 * recipe.fps, axis=0)[pad:-pad]
        position += 0.09 * slow[:, :3] / 0.25 * 0.35 + 0.006 * quick[:, :3]
        target += 0.10 * slow[:, 3:] / 0.25 * 0.35 + 0.010 * quick[:, 3:]
    angle = np.full(count, np.deg2rad(recipe.azimuth_deg))
    away = position[:, [0, 2]] - [x, z]
    if recipe.cut:
        angle[recipe.cut :] += np.deg2rad(_CUT_DEG if recipe.azimuth_deg <= 0 else -_CUT_DEG)
        away[recipe.cut :] *= _CUT_NEARER
    position[:, 0] = x + np.cos(angle) * away[:, 0] + np.sin(angle) * away[:, 1]
    position[:, 2] = z - np.sin(angle) * away[:, 0] + np.cos(angle) * away[:, 1]
    return dataclasses.replace(recipe.lens(), world_from_camera=cameras.look_at(position, target))


def _stands(motion: Motion) -> bool:
    return bool(np.ptp(motion.transl[:, 0]) < 0.4)
