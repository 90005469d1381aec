import cv2
import numpy as np
import pytest

from model_zoo.diffusion.config import MimoConfig
from model_zoo.diffusion.pictures import reference_picture
from tests import examples
from tools import mp4
from tools.sample import clips, footage
from tools.sample.control import FPS, chosen, gathered
from workflow.errors import ToolError
from workflow.stages.train import SampleParams

CONFIG = MimoConfig(height=32, width=32, num_vertices=144)
BODY = examples.body_model()


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    root = tmp_path_factory.mktemp("control")
    shards = [
        examples.shard(root, split="train", name="s00000", lengths=(9, 4), rejected=(), height=48, width=40),
        examples.shard(root, split="val", name="s00001", lengths=(6,), rejected=(), height=36, width=36, seed=5),
    ]
    return clips.every(shards)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A motion, a cut-out, a scene's picture and video."""
    root = tmp_path_factory.mktemp("files")
    poses = np.zeros((31, 156))
    poses[:, 0] = np.pi / 2  # AMASS's z up
    np.savez(root / "walk.npz", poses=poses, trans=np.linspace(0, 1, 31)[:, None] * [[0, -1, 0]], mocap_framerate=30.0)
    figure = np.zeros((60, 40, 4), np.uint8)
    figure[10:50, 10:30] = (10, 20, 200, 255)  # BGR and alpha
    cv2.imwrite(str(root / "who.png"), figure)
    cv2.imwrite(str(root / "white.png"), np.where(figure[..., 3:] > 0, figure[..., :3], np.uint8(255)))
    cv2.imwrite(str(root / "mask.png"), figure[..., 3])
    busy = np.random.default_rng(0).integers(0, 255, (60, 40, 3), np.uint8)
    cv2.imwrite(str(root / "busy.png"), busy)
    cv2.imwrite(str(root / "where.png"), np.full((50, 100, 3), (0, 200, 100), np.uint8))
    frames = np.stack([np.full((32, 64, 3), 40 * t, np.uint8) for t in range(6)])
    mp4.write(frames, 12.0, root / "where.mp4")
    return root


def driven(sources, frames=8, **named):
    control = chosen(SampleParams(**{name: str(value) for name, value in named.items()}), sources)
    return control, gathered(control, frames, CONFIG, BODY)


def test_the_default_is_one_held_out_clip(sources):
    control, made = driven(sources, 4)
    assert control.motion is control.identity is control.scene is sources[2] and control.held_out
    assert made.fps == examples.FPS and made.arrays.video.shape == (3, 4, 32, 32)
    assert made.driver.shape == (4, 32, 32, 3)


def test_each_may_be_another_clip(sources):
    base, same = driven(sources, 6, clip=sources[2].clip.id)
    ids = [source.clip.id for source in sources]
    _, who = driven(sources, 6, clip=ids[2], identity=ids[0])
    _, where = driven(sources, 6, clip=ids[2], scene=ids[1])
    moved, how = driven(sources, 6, clip=ids[2], motion=ids[0])
    assert (who.arrays.reference != same.arrays.reference).any() and (who.arrays.scene == same.arrays.scene).all()
    assert (where.arrays.scene != same.arrays.scene).any() and (where.arrays.pose == same.arrays.pose).all()
    # a scene of 4 frames runs back again: 0 1 2 3 2 1
    assert (where.arrays.scene[:, 4] == where.arrays.scene[:, 2]).all()
    assert (how.arrays.pose != same.arrays.pose).any() and not moved.held_out
    assert base.names["motion"] == f"{ids[2]} (val)"


def test_everything_from_files_needs_no_clip(sources, files):
    control, made = driven([], 12, motion=files / "walk.npz", identity=files / "who.png", scene=files / "where.png")
    assert control.held_out and made.driver is None and made.fps == FPS
    arrays = made.arrays
    assert arrays.video.shape == (3, 12, 32, 32) and arrays.valid.all()
    assert (arrays.occluder == -1).all() and not arrays.occluder_mask.any() and not arrays.human_mask.any()
    assert (arrays.scene == arrays.video).all()
    assert arrays.scene[:, 0, 5, 5] == pytest.approx(np.array([100, 200, 0]) / 127.5 - 1, abs=0.02), "RGB"
    rgb = np.full((60, 40, 3), (200, 20, 10), np.uint8)
    human = np.zeros((60, 40), bool)
    human[10:50, 10:30] = True
    assert (arrays.reference == reference_picture(rgb, human, CONFIG.reference_size)).all()
    longer = gathered(control, 100, CONFIG, BODY)
    assert longer.arrays.video.shape[1] == 25, "a second at 24 frames per second"


def test_a_motion_from_a_file_stands_where_the_subject_of_the_scene_stood(sources, files):
    _, made = driven(sources, 5, motion=files / "walk.npz", scene=sources[2].clip.id)
    _, clip = driven(sources, 5, clip=sources[2].clip.id)
    assert made.fps == examples.FPS
    assert (made.arrays.occluder == clip.arrays.occluder).all() and made.arrays.occluder_mask.any()
    assert made.arrays.intrinsics == pytest.approx(clip.arrays.intrinsics, abs=1e-4)
    assert made.arrays.transl[2] == pytest.approx(clip.arrays.transl[2], abs=0.3)


def test_frames_of_another_size_are_scaled(sources, files):
    _, made = driven(sources, 4, clip=sources[0].clip.id, scene=sources[2].clip.id)
    assert made.arrays.scene.shape == (3, 4, 32, 32)
    assert set(np.unique(made.arrays.occluder_mask)) != {0.0}


def test_pictures_are_cut_out_by_alpha_mask_or_plain_ground(sources, files):
    pictures = [
        driven(sources, 2, identity=files / name, **mask)[1].arrays.reference
        for name, mask in (("who.png", {}), ("white.png", {}), ("white.png", {"identity_mask": files / "mask.png"}))
    ]
    assert (pictures[0] == pictures[1]).all() and (pictures[0] == pictures[2]).all()


def test_a_scenes_video_keeps_time(sources, files):
    shown = footage.video(files / "where.mp4", 24.0, 8, (16, 16))
    levels = shown.mean((1, 2, 3))
    assert shown.shape == (8, 16, 16, 3)
    assert levels == pytest.approx(np.repeat([0, 40, 80, 120], 2), abs=4), "12 frames per second at 24"
    _, made = driven(sources, 8, motion=files / "walk.npz", scene=files / "where.mp4")
    assert (made.arrays.scene[:, 7] > made.arrays.scene[:, 0]).all()


def test_all_faults_at_once(sources, files):
    with pytest.raises(ToolError) as told:
        driven(sources, motion=files / "none.npz", identity=files / "busy.png", scene="nobody")
    message = str(told.value)
    for part in ("motion: ", "none.npz", "identity: ", "not of one colour", "scene: ", "no clip 'nobody'"):
        assert part in message
    (files / "broken.mp4").write_bytes(b"no video")
    with pytest.raises(ToolError, match=r"(?s)scene: .*broken.mp4"):
        driven(sources, scene=files / "broken.mp4")


def test_settings_that_cannot_work():
    assert SampleParams(motion="a.npz", identity="b.png", identity_mask="m.png", scene="c.mp4").faults() == []
    assert len(SampleParams(motion="a.png", identity="b.npz", scene="c.npz").faults()) == 3
    assert "has no effect" in SampleParams(identity="039f3a34d179-000000-000060", identity_mask="m.png").faults()[0]
    assert "clip: has no effect" in SampleParams(clip="c", motion="a.npz", identity="d", scene="e").faults()[0]
    assert SampleParams(motion="a.npz", scene="some-clip").files() == ["a.npz"]
