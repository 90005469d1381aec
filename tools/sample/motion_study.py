"""Does the motion condition matter: people who are drawn must stand where the driving body stands.

Every clip's scene and subject is sampled with every clip's motion. The person of a result is what differs from the
scene; it is compared with the outline of the body that drove it and, as a control, of the bodies that did not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from model_zoo.diffusion.mimo import MimoModel
from model_zoo.diffusion.pictures import ClipArrays, ClipBatch, Placement, collate
from model_zoo.diffusion.posing import Poser
from model_zoo.diffusion.rasterize import DifferentiableRasterizer
from model_zoo.diffusion.sampling import sample

THRESHOLD = 0.2  # of values from -1 to 1: mean difference of a pixel's channels from the scene, where a person is


@dataclass(frozen=True)
class Study:
    """Overlaps (intersection over union) of drawn people with bodies.

    Attributes:
        overlap: Shape (N, N, N): scene and subject of clip i, motion of clip j, against the body of clip k.
        source: Shape (N,): people of the source videos against their own bodies, the most that can be expected.
    """

    overlap: np.ndarray
    source: np.ndarray

    def figures(self) -> dict[str, float]:
        """Means over clips.

        Returns:
            source: People of the sources against their bodies.
            own: Results with the clip's own motion against that body.
            own_control: The same results against the bodies of the other clips.
            swapped: Results with another clip's motion against that other body.
            swapped_kept: The same results against the body of the clip that gave scene and subject: what a model that
                ignores the motion would follow.
            swapped_control: The same results against bodies that have nothing to do with them; 0 with two clips.
        """
        count = len(self.overlap)
        groups: dict[str, list[float]] = {name: [] for name in _NAMES}
        for i in range(count):
            for j in range(count):
                for k in range(count):
                    if i == j:
                        name = "own" if k == i else "own_control"
                    else:
                        name = {i: "swapped_kept", j: "swapped"}.get(k, "swapped_control")
                    groups[name].append(float(self.overlap[i, j, k]))
        means = {name: float(np.mean(values)) if values else 0.0 for name, values in groups.items()}
        return {"source": float(self.source.mean()), **means}


_NAMES = ("own", "own_control", "swapped", "swapped_kept", "swapped_control")


def crossed(one: ClipArrays, motion: ClipArrays) -> ClipArrays:
    """Scene, occluders and subject of a clip with the body, its pose and its camera of another."""
    return one._replace(
        betas=motion.betas, pose=motion.pose, transl=motion.transl, intrinsics=motion.intrinsics, valid=motion.valid
    )


@torch.no_grad()
def body_masks(model: MimoModel, poser: Poser, known: ClipBatch) -> np.ndarray:
    """Outlines of the driving bodies at the frames' size, (T, H, W), bool."""
    config = model.config
    place = Placement.cover(config.motion_size, (config.height, config.width))
    vertices = poser(known.betas, known.pose, known.transl)[0]
    intrinsics = torch.from_numpy(place.intrinsics(known.intrinsics[0].cpu().numpy())).to(vertices.device)
    nothing = vertices.new_zeros(poser.num_vertices, 1)
    _, mask, _ = DifferentiableRasterizer((config.height, config.width))(vertices, poser.faces, nothing, intrinsics)
    return mask[:, 0].cpu().numpy()


def people(video: Tensor, scene: Tensor) -> np.ndarray:
    """Where a video (3, T, H, W) differs from its scene, (T, H, W), bool."""
    return ((video - scene).abs().mean(0) > THRESHOLD).cpu().numpy()


def overlap(one: np.ndarray, other: np.ndarray, counted: np.ndarray) -> float:
    """Mean over frames of intersection over union, 0 to 1; frames where both are empty count as 0.

    Args:
        one: Shape (T, H, W), bool.
        other: Same.
        counted: Same; pixels that count.
    """
    both = (one & other & counted).sum((1, 2))
    either = ((one | other) & counted).sum((1, 2))
    return float(np.mean(both / np.maximum(either, 1)))


@torch.no_grad()
def study(
    model: MimoModel,
    poser: Poser,
    clips: Sequence[ClipArrays],
    *,
    steps: int,
    guidance: float,
    device: torch.device,
    told: Callable[[int, int], None] = lambda scene, motion: None,
) -> Study:
    """Sample every clip with every motion; all clips have the same number of frames.

    Args:
        model: Trained model.
        poser: The body.
        clips: N clips, two or more.
        steps: Denoising steps.
        guidance: Strength of the conditions.
        device: Where the model is.
        told: Called with (i, j) before a video is drawn.
    """
    count = len(clips)
    batches = [collate([clip], device) for clip in clips]
    bodies = [body_masks(model, poser, known) for known in batches]
    result, source = np.zeros((count, count, count)), np.zeros(count)
    for i, base in enumerate(batches):
        # The autoencoder's own errors are in both pictures that are compared.
        scene = model.latents.decode(model.latents.encode(base.scene))[0]
        clear = (base.occluder_mask[0] < 0.5).cpu().numpy()
        shown = model.latents.decode(model.latents.encode(base.video))[0]
        source[i] = overlap(people(shown, scene), bodies[i], clear)
        for j, motion in enumerate(clips):
            told(i, j)
            known = collate([crossed(clips[i], motion)], device)
            vertices = poser(known.betas, known.pose, known.transl)
            conditions = model.conditions(
                known.scene, known.occluder, vertices, poser.faces, known.intrinsics, known.reference
            )
            latents = sample(
                model, conditions, steps=steps, guidance=guidance, generator=torch.Generator().manual_seed(0)
            )
            found = people(model.latents.decode(latents)[0], scene)
            for k in range(count):
                result[i, j, k] = overlap(found, bodies[k], clear)
    return Study(result, source)
