import numpy as np

from tools.layers.missing import candidates, doubtful, height_of, hidden, persistent, within

GRASS, BALL = (60, 140, 50), (240, 240, 240)


def standing():
    """A body 60 px wide and 160 px high, all of it seen, on grass with texture."""
    body = np.zeros((220, 200), bool)
    body[30:190, 70:130] = True
    rng = np.random.default_rng(0)
    rgb = (np.array(GRASS) + rng.integers(-20, 20, (220, 200, 1))).clip(0, 255).astype(np.uint8)
    rgb[body] = (40, 40, 120)
    return body, body.copy(), rgb


def pieces(rgb, body, human, doubt=None, unseen=None):
    nothing = np.zeros_like(body)
    doubt, unseen = (nothing if given is None else given for given in (doubt, unseen))
    return candidates(rgb, body, human, doubt, unseen, ~nothing, 0.01, 6.0)


def ball(rgb, human, x, y, radius):
    rows, columns = np.mgrid[: human.shape[0], : human.shape[1]]
    disc = (rows - y) ** 2 + (columns - x) ** 2 <= radius**2
    rgb[disc] = BALL
    return disc, human & ~disc


def test_a_ball_in_front_of_the_body_is_found():
    body, human, rgb = standing()
    disc, human = ball(rgb, human, 100, 120, 18)
    found = pieces(rgb, body, human)
    assert (found & disc & body).sum() / ((found | (disc & body)).sum()) > 0.9


def test_nothing_is_found_when_all_is_seen():
    body, human, rgb = standing()
    assert not pieces(rgb, body, human).any()


def test_a_body_fitted_too_wide_is_not_an_occluder():
    body, human, rgb = standing()
    human[:, :74] = False
    human[:, 126:] = False
    assert not pieces(rgb, body, human).any()


def test_a_limb_beside_its_place_is_not_an_occluder():
    body, human, rgb = standing()
    body[60:74, 130:190] = True  # the arm as fitted
    human[100:114, 130:190] = True  # the arm as seen
    assert not pieces(rgb, body, human).any()


def test_scenery_past_a_misplaced_limb_is_not_an_occluder():
    body, human, rgb = standing()
    body[60:74, 130:190] = True
    assert not pieces(rgb, body, human).any()


def test_small_pieces_are_left_out():
    body, human, rgb = standing()
    _, human = ball(rgb, human, 100, 120, 4)
    assert not pieces(rgb, body, human).any()


def test_keypoints_outside_the_body_cast_doubt_on_their_surroundings():
    body, human, rgb = standing()
    _, human = ball(rgb, human, 118, 120, 14)
    keypoints, confidence = np.array([[150.0, 120.0], [5.0, 5.0]]), np.array([0.9, 0.1])
    doubt = doubtful(body, keypoints, confidence)
    assert doubt[120, 140] and not doubt[30, 100] and not doubt[5, 5]
    assert pieces(rgb, body, human).sum() > pieces(rgb, body, human, doubt).sum()
    assert not doubtful(np.zeros_like(body), keypoints, confidence).any()


def test_a_piece_must_persist():
    piece = np.zeros((50, 50), bool)
    piece[10:20, 10:20] = True
    moved, nothing = np.roll(piece, 6, axis=1), np.zeros_like(piece)
    assert (persistent(piece, [moved, moved, nothing, nothing], 8) == piece).all()
    assert not persistent(piece, [moved, nothing, nothing, nothing], 8).any()
    assert persistent(piece, [], 8).all() == piece.all()


def test_distances_and_heights():
    mask = np.zeros((20, 30), bool)
    mask[10, 10] = True
    assert within(mask, 3)[10, 13] and not within(mask, 3)[10, 14]
    assert height_of(mask) == 1


def test_a_thing_wider_than_the_body_is_found_where_it_hides_joints():
    body, human, rgb = standing()
    body[150:], human[150:] = False, False
    body[150:200, 77:91] = body[150:200, 109:123] = True  # legs behind a wall that looks as everything round it
    rgb[150:] = (40, 90, 35)
    assert not pieces(rgb, body, human).any()
    keypoints = np.array([[84.0, 180.0], [116.0, 180.0], [84.0, 900.0]])
    unseen = hidden(body, keypoints, np.array([0.1, 0.2, 0.1]))
    found = pieces(rgb, body, human, unseen=unseen)
    assert found[160:195, 79:89].all() and found[160:195, 111:121].all()
    assert not hidden(body, keypoints, np.array([0.9, 0.9, 0.0])).any()


def test_a_thing_that_reaches_deep_into_the_body_is_found_whatever_its_colour():
    body, human, rgb = standing()
    rows, columns = np.mgrid[:220, :200]
    hole = (rows - 120) ** 2 + (columns - 100) ** 2 <= 18**2
    hole |= (abs(rows - 120) < 4) & (columns > 100)  # held from beside, as green as the grass
    rgb[hole] = GRASS
    human &= ~hole
    assert (pieces(rgb, body, human) & hole).sum() > 0.9 * (hole & body).sum()
