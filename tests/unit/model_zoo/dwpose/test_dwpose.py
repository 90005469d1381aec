import numpy as np
import onnx
import onnx.helper
import pytest
from onnx import TensorProto, numpy_helper

from model_zoo.dwpose import pose, yolox
from model_zoo.dwpose.region import cut, region_of


def constant_network(path, inputs, outputs):
    """An ONNX network that looks at nothing and gives what it is told to."""
    value = onnx.helper.make_tensor_value_info
    nodes, initializers = [], []
    for name, array in outputs.items():
        initializers.append(numpy_helper.from_array(np.asarray(array, np.float32), f"{name}_value"))
        nodes.append(onnx.helper.make_node("Identity", [f"{name}_value"], [name]))
    graph = onnx.helper.make_graph(
        nodes,
        "g",
        [value("input", TensorProto.FLOAT, inputs)],
        [value(name, TensorProto.FLOAT, np.asarray(array).shape) for name, array in outputs.items()],
        initializers,
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def planted(boxes, zoom):
    """YOLOX output for boxes (x0, y0, x1, y1, objectness, class, class score) in source px."""
    out = np.zeros((8400, 85), np.float32)
    for row, (x0, y0, x1, y1, objectness, kind, score) in zip(range(100, 8000, 777), boxes):
        cell, stride = yolox._CELLS[row], yolox._STRIDES[row, 0]
        middle = np.array([x0 + x1, y0 + y1]) / 2 * zoom
        out[row, :2] = middle / stride - cell
        out[row, 2:4] = np.log(np.array([x1 - x0, y1 - y0]) * zoom / stride)
        out[row, 4], out[row, 5 + kind] = objectness, score
    return out


def test_there_are_as_many_anchors_as_rows():
    assert len(yolox._CELLS) == 8400
    assert yolox._CELLS[81].tolist() == [1, 1] and yolox._STRIDES[0, 0] == 8
    assert yolox._STRIDES[6400, 0] == 16 and yolox._STRIDES[8399, 0] == 32 and yolox._CELLS[8399].tolist() == [19, 19]


def test_letterbox_is_at_the_top_left_on_grey():
    rgb = np.zeros((200, 400, 3), np.uint8)
    rgb[..., 0] = 9
    x, zoom = yolox.letterbox(rgb)
    assert x.shape == (1, 3, 640, 640) and x.dtype == np.float32
    assert zoom == 1.6
    assert x[0, :, 319, 639].tolist() == [9, 0, 0]  # red first, not normalised
    assert x[0, :, 320, 0].tolist() == [114, 114, 114]


def test_planted_people_are_found(tmp_path):
    boxes = [
        (30, 20, 130, 180, 0.9, 0, 0.8),  # a person
        (32, 22, 131, 179, 0.8, 0, 0.8),  # the same once more
        (200, 50, 260, 190, 0.5, 0, 0.7),  # another, score 0.35
        (300, 10, 390, 190, 0.9, 16, 0.9),  # a dog
        (210, 20, 240, 60, 0.4, 0, 0.7),  # score 0.28: too low
    ]
    rgb = np.zeros((200, 400, 3), np.uint8)
    path = constant_network(tmp_path / "y.onnx", [1, 3, 640, 640], {"output": planted(boxes, 1.6)[None]})
    found = yolox.Detector(path)(rgb)
    assert found.shape == (2, 5)
    np.testing.assert_allclose(found[0], [30, 20, 130, 180, 0.72], atol=1e-3)
    np.testing.assert_allclose(found[1], [200, 50, 260, 190, 0.35], atol=1e-3)


def test_a_strong_weak_pair_is_suppressed_before_the_last_threshold():
    out = planted([(0, 0, 100, 100, 0.2, 0, 0.9)], 1.0)
    assert yolox.decode(out, 1.0, 0.3).shape == (0, 5)
    assert yolox.decode(out, 1.0, 0.1).shape == (1, 5)


def test_region_has_the_networks_aspect_and_room():
    region = region_of(np.array([10, 20, 110, 220]))
    assert region.centre.tolist() == [60, 120]
    assert region.scale.tolist() == [187.5, 250]  # 1.25 of the height, 3:4
    wide = region_of(np.array([0, 0, 300, 100]))
    assert wide.scale.tolist() == [375, 500]
    matrix = region.matrix((288, 384))
    np.testing.assert_allclose(matrix @ [60, 120, 1], [144, 192])
    np.testing.assert_allclose(matrix @ [60 - 187.5 / 2, 120 - 125, 1], [0, 0], atol=1e-9)
    np.testing.assert_allclose(region.udp_matrix((768, 1024)) @ [60 + 187.5 / 2, 120 + 125, 1], [767, 1023])


def simcc(points, scores):
    """Both outputs of DWPose with peaks at px of the input; scores (K, 2)."""
    x, y = np.zeros((1, 133, 576), np.float32), np.zeros((1, 133, 768), np.float32)
    for k, (point, score) in enumerate(zip(points, scores)):
        x[0, k, int(point[0] * 2)], y[0, k, int(point[1] * 2)] = score
    return {"simcc_x": x, "simcc_y": y}


def test_planted_joints_come_back_exactly(tmp_path):
    rng = np.random.default_rng(0)
    points = np.stack([rng.integers(1, 287, 133), rng.integers(1, 383, 133)], 1) + rng.integers(0, 2, (133, 2)) / 2
    scores = rng.uniform(0.2, 0.9, (133, 2))
    path = constant_network(tmp_path / "p.onnx", [1, 3, 384, 288], simcc(points, scores))
    box = np.array([40.0, 30, 140, 230])
    found = pose.Poser(path)([np.zeros((300, 200, 3), np.uint8)], [box])[0]
    region = region_of(box)
    expected = points / (288, 384) * region.scale + region.centre - region.scale / 2
    np.testing.assert_allclose(found[:, :2], expected, atol=1e-9)
    np.testing.assert_allclose(found[:, 2], scores.min(1), atol=1e-6)  # the smaller, not the mean


def test_a_joint_without_a_peak_has_no_place():
    x, y = np.zeros((2, 576), np.float32), np.zeros((2, 768), np.float32)
    x[0, 10], y[0, 20] = 0.5, 0.4
    found = pose.decode(x, y, region_of(np.array([0, 0, 288, 384]), padding=1.0))
    np.testing.assert_allclose(found, [[5, 10, 0.4], [-0.5, -0.5, 0]], atol=1e-6)


def test_without_a_box_the_whole_picture_is_taken(tmp_path):
    points = np.tile([[144.0, 192.0]], (133, 1))
    path = constant_network(tmp_path / "p.onnx", [1, 3, 384, 288], simcc(points, np.full((133, 2), 0.5)))
    found = pose.Poser(path).people(np.zeros((100, 60, 3), np.uint8), np.zeros((0, 5)))
    assert found.shape == (1, 133, 3)
    np.testing.assert_allclose(found[0, 0], [30, 50, 0.5], atol=1e-6)


def test_the_input_is_normalised_red_first():
    rgb = np.full((384, 288, 3), (200, 100, 50), np.uint8)
    x = pose.prepare(rgb, region_of(np.array([0, 0, 288, 384]), padding=1.0))
    np.testing.assert_allclose(
        x[:, 100, 100], [(200 - 123.675) / 58.395, (100 - 116.28) / 57.12, (50 - 103.53) / 57.375], rtol=1e-5
    )
    assert cut(rgb, region_of(np.array([280, 0, 568, 384]), padding=1.0).matrix((288, 384)), (288, 384))[
        5, 200
    ].tolist() == [0, 0, 0]


def test_other_networks_are_said_to_be_others(tmp_path):
    path = constant_network(tmp_path / "a.onnx", [1, 3, 640, 640], {"output": np.zeros((1, 10, 85))})
    with pytest.raises(ValueError, match="it is not YOLOX"):
        yolox.Detector(path)(np.zeros((10, 10, 3), np.uint8))
    path = constant_network(
        tmp_path / "b.onnx", [1, 3, 384, 288], {"x": np.zeros((1, 17, 576)), "y": np.zeros((1, 17, 768))}
    )
    with pytest.raises(ValueError, match="it is not DWPose"):
        pose.Poser(path)([np.zeros((10, 10, 3), np.uint8)], [np.array([0, 0, 5, 5])])
    path = constant_network(tmp_path / "c.onnx", [1, 3, 32, 32], {"output": np.zeros((1, 8400, 85))})
    with pytest.raises(ValueError, match="does not run on"):
        yolox.Detector(path)(np.zeros((10, 10, 3), np.uint8))
