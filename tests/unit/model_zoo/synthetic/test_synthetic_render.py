"""The renderer against what can be worked out by hand, and its truth against itself."""

import dataclasses

import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from model_zoo.raster.attributes import vertex_normals
from model_zoo.synthetic import camera as cameras
from model_zoo.synthetic import clips, dressed, materials, mesh, scenes
from model_zoo.synthetic.camera import Camera
from model_zoo.synthetic.motion import Motion
from model_zoo.synthetic.render import Actor, Prop, Renderer, Shot
from model_zoo.synthetic.truth import rendered

HEIGHT, WIDTH = 120, 160
HAIR, UPPER, PANTS, FACE, LEFT_ARM, RIGHT_ARM, LEFT_SHOE, RIGHT_SHOE = 2, 5, 9, 13, 14, 15, 18, 19


def still(body, places):
    """The body in its T-pose at places on the ground, (T, 2)."""
    count = len(places)
    lift = -body.skeleton.sole
    transl = np.array([[x, lift, z] for x, z in places], float)
    return Motion(np.zeros((count, 3)), np.zeros((count, 69)), transl, np.ones((count, 2), bool))


def shot_of(body, places, scene=None, props=(), **more):
    pose = np.tile(cameras.look_at(np.array([0.0, 1.0, 3.5]), np.array([0.0, 1.0, 0.0])), (len(places), 1, 1))
    camera = Camera(HEIGHT, WIDTH, cameras.intrinsics(HEIGHT, WIDTH, 1.2 * HEIGHT), pose)
    return Shot("t", 24.0, scene or scenes.room(), camera, Actor(body, still(body, places)), props=props, **more)


@pytest.fixture(scope="module")
def walked(model):
    return rendered(clips.walking(model, 6, HEIGHT, WIDTH, fps=4.0))


def test_ball_and_plane_are_where_geometry_says(body):
    radius, at = 0.3, np.array([0.0, 1.0, 1.5])  # on the optical axis, 2 m away, before the body
    ball = Prop(mesh.sphere((0, 0, 0), radius, mesh.Material(), True, rings=48), at[None])
    truth = Renderer(shot_of(body, [(0.0, 0.0)], scenes.street(), (ball,))).truth(0)
    focal, distance = 1.2 * HEIGHT, 2.0
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    x, y = (columns - 0.5 * (WIDTH - 1)) / focal, (rows - 0.5 * (HEIGHT - 1)) / focal
    # Ray (x, y, 1) s against the ball: s^2 (1 + x^2 + y^2) - 2 s d + d^2 - r^2 = 0.
    a = 1 + x * x + y * y
    root = distance**2 - a * (distance**2 - radius**2)
    inside = root > 0.01
    nearest = (distance - np.sqrt(np.maximum(root, 0))) / a
    assert np.abs(truth.depth - nearest)[inside].max() < 0.004
    seen = (truth.depth > 0) & (truth.depth < 1.99) & (rows < 100)
    assert abs(int(seen.sum()) - int((root > 0).sum())) < 0.02 * seen.sum()
    assert truth.occluder[inside & truth.amodal].all() and not truth.human[inside].any()
    plane = 1.0 / np.maximum(y, 1e-9)  # the camera is 1 m above the ground
    ground = (plane < 3.0) & ~truth.amodal & ~seen
    assert ground.sum() > 1500 and np.abs(truth.depth - plane)[ground].max() < 1e-4


def test_masks_and_depths_agree(walked):
    _, truth = walked
    bits = {k: np.unpackbits(truth[k], axis=2)[:, :, :WIDTH].astype(bool) for k in ("human", "amodal", "occluder")}
    assert bits["human"].any((1, 2)).all()
    assert ((bits["human"] | bits["occluder"]) == bits["amodal"]).all()
    assert not (bits["human"] & bits["occluder"]).any()
    assert ((truth["body_depth"] > 0) == bits["amodal"]).all()
    assert ((truth["parsing"] > 0) == bits["human"]).all()
    for t in range(len(truth["keypoints"])):
        shown = truth["keypoints"][t][truth["keypoints_in_view"][t]]
        rows, columns = np.nonzero(bits["amodal"][t])
        assert (shown.min(0) > [columns.min() - 2, rows.min() - 2]).all()
        assert (shown.max(0) < [columns.max() + 2, rows.max() + 2]).all()


def test_the_person_stands_out_from_the_scene_and_nothing_else_changes(walked):
    frames, truth = walked
    assert frames.dtype == np.uint8 and frames.shape == (6, HEIGHT, WIDTH, 3)
    amodal = np.unpackbits(truth["amodal"], axis=2)[:, :, :WIDTH].astype(bool)
    empty = np.median(frames[[0, 1, 4, 5]].astype(float), 0)
    changed = np.abs(frames[0] - empty).max(-1) > 60
    assert (changed & ~amodal[0]).sum() < 0.05 * amodal[0].sum()
    assert frames[0].std() > 25


def test_same_shot_same_bytes_and_frames_in_any_order(model, walked):
    frames, _ = walked
    renderer = Renderer(clips.walking(model, 6, HEIGHT, WIDTH, fps=4.0), samples=1)
    assert (renderer.frame(4) == frames[4]).all() and (renderer.frame(1) == frames[1]).all()


def test_more_samples_smooth_edges_but_keep_the_picture(body):
    shot = shot_of(body, [(0.0, 0.0)], grain=0.0)
    coarse, fine = (Renderer(shot, samples).frame(0).astype(float) for samples in (1, 3))
    assert np.abs(coarse - fine).mean() < 6 and np.abs(coarse - fine).max() > 40
    assert np.abs(coarse.mean((0, 1)) - fine.mean((0, 1))).max() < 1.5


def test_a_turning_camera_draws_what_a_still_one_sees(body):
    shot = shot_of(body, [(0.0, 0.0), (0.3, 0.0)])
    poses = shot.camera.world_from_camera.copy()
    poses[1] = cameras.look_at(np.array([0.0, 1.0, 3.5]), np.array([0.4, 1.0, 0.0]))
    turning = dataclasses.replace(shot, camera=dataclasses.replace(shot.camera, world_from_camera=poses))
    assert not turning.camera.is_still()
    assert (Renderer(turning).frame(0) == Renderer(shot).frame(0)).all()
    assert (Renderer(turning).frame(1) != Renderer(shot).frame(1)).any()


def test_the_body_throws_a_shadow_away_from_the_light(body):
    near, far = (Renderer(shot_of(body, [(x, 0.0)], grain=0.0)).frame(0).astype(float) for x in (0.0, 60.0))
    truth = Renderer(shot_of(body, [(0.0, 0.0)])).truth(0)
    darker = (far.sum(-1) - near.sum(-1) > 12) & ~binary_dilation(truth.amodal, iterations=3)
    rows, columns = np.nonzero(darker)
    assert darker.sum() > 60 and not (near.sum(-1) - far.sum(-1) > 12)[~truth.amodal].mean() > 0.01
    assert rows.min() > 60  # on the ground
    assert columns.mean() > 85  # the light comes from the left


def test_parts_lie_where_a_body_has_them(body):
    parsing = Renderer(shot_of(body, [(0.0, 0.0)])).truth(0).parsing
    middle = {label: np.argwhere(parsing == label).mean(0) for label in np.unique(parsing) if label}
    order = [HAIR, FACE, UPPER, PANTS, LEFT_SHOE]
    assert (np.diff([middle[label][0] for label in order]) > 0).all()
    # The body faces the camera: its left is on the right of the picture.
    assert middle[LEFT_ARM][1] > middle[RIGHT_ARM][1] and middle[LEFT_SHOE][1] > middle[RIGHT_SHOE][1]


def test_clothes_stand_off_the_skin(model, body):
    bare = model.vertices_rest(body.betas)
    out = ((body.vertices_rest - bare) * vertex_normals(bare, body.faces)).sum(1)
    template = body.template
    chest = (np.abs(template[:, 0]) < 0.1) & (np.abs(template[:, 1] - 0.3) < 0.05)
    hands = np.abs(template[:, 0]) > 0.7
    crown = template[:, 1] > body.marks.crown_y - 0.03
    assert out[chest].min() > 0.009 and np.abs(out[hands]).max() < 1e-9 and out[crown].min() > 0.015


def test_the_hairline_of_the_shading_is_that_of_the_geometry():
    depth = np.linspace(-0.9, 0.9, 181)
    assert np.abs([materials._hairline(d) for d in depth] - dressed.hairline(depth)).max() < 2e-3


def test_solids_are_closed_to_the_outside():
    for solid in (
        mesh.box((0, 0, 0), (1, 2, 3), mesh.Material()),
        mesh.sphere((0, 0, 0), 1, mesh.Material()),
        mesh.cylinder((0, 0, 0), 2, 0.3, mesh.Material()),
    ):
        corners = solid.vertices[solid.faces]
        normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        outward = corners.mean(1) - 0.5 * (solid.vertices.min(0) + solid.vertices.max(0))
        thick = np.linalg.norm(normal, axis=1) > 1e-12
        assert ((normal * outward).sum(1)[thick] > 0).all()
        assert len(solid.uv) == len(solid.vertices) and len(solid.material) == len(solid.faces)


def test_the_clip_that_leaves_the_picture_has_a_gap_and_the_post_hides_the_body(model):
    gone = Renderer(clips.leaving(model, 12, 160, 120, fps=4.0))
    share = np.array([gone.truth(t).amodal.mean() for t in range(12)])
    assert share[0] > 0.03 and share[-1] > 0.03 and (share == 0).sum() >= 2
    behind = Renderer(clips.waving(model, 3, 160, 120, fps=1.0))
    assert all(behind.truth(t).occluder.sum() > 10 for t in range(3))
