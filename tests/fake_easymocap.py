"""A stand-in for a checkout of EasyMocap: scripts with its command lines that write its exact output formats.

What they "see" comes from `people.json` in the checkout: per frame number, people of a frame. Texts are written by code
of the same behaviour as EasyMocap's `annot2string` and `write_smpl`: CRLF inside arrays, two or three decimals.
Where `people.json` names a file as "pictures", every picture they are given is decoded and told there, a line of JSON
each: name, height, width, and mean of red, green and blue.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from workflow.raster import Raster

LOOK = r"""
def look(folder, name):
    if "pictures" not in seen:
        return (120, 160)
    import cv2
    picture = cv2.imread(os.path.join(folder, name))
    with open(seen["pictures"], "a") as file:
        print(json.dumps([name, *picture.shape[:2], *picture[..., ::-1].mean((0, 1)).tolist()]), file=file)
    return picture.shape[:2]
"""

KEYPOINTS_SCRIPT = r"""
import argparse, json, os, sys
parser = argparse.ArgumentParser()
parser.add_argument("path"); parser.add_argument("--mode"); parser.add_argument("--subs", nargs="+")
parser.add_argument("--force", action="store_true")
args = parser.parse_args()
assert args.mode == "yolo-hrnet" and args.force
import easymocap  # by PYTHONPATH
assert os.path.exists("data/models/yolov4.weights")  # relative to the working directory
seen = json.load(open("people.json"))
LOOK
print("tqdm noise", file=sys.stderr)
def rows(array, indent):
    blank = " " * indent
    lines = ["["]
    for k, row in enumerate(array):
        lines.append(blank + "  [" + ", ".join("%7.2f" % v for v in row) + "]" + (", " if k < len(array) - 1 else ""))
    return "\r\n".join(lines + [blank + "]"])
for sub in args.subs:
    images = os.path.join(args.path, "images", sub)
    out = os.path.join(args.path, "annots", sub)
    os.makedirs(out)
    for name in sorted(os.listdir(images)):
        stem = name[:-4]
        if seen.get("stop_at") == int(stem):
            print("RuntimeError: CUDA error: an illegal memory access"); sys.exit(seen.get("exit", 3))
        def area(p):
            x0, y0, x1, y1, _ = p["bbox"]
            return round(max(x1 - x0, y1 - y0), 1) ** 2  # what differs by rounding alone stays as it is told
        people = sorted(seen["frames"].get(str(int(stem)), []), key=lambda p: -area(p))
        height, width = look(images, name)
        text = '{\n    "filename": "images/%s/%s",\n    "height": %d,\n' % (sub, name, height)
        text += '    "width": %d,\n    "annots": [\n' % width
        for k, p in enumerate(people):
            text += "        {\n" + '            "personID": %d,\n' % k
            text += '            "bbox": [%.2f, %.2f, %.2f, %.2f, %.2f],\n' % tuple(p["bbox"])
            text += '            "keypoints": ' + rows([[x, y, max(c, 0)] for x, y, c in p["keypoints"]], 12) + ",\n"
            text += '            "isKeyframe": false\n        }' + (",\n" if k < len(people) - 1 else "\n")
        text += '    ],\n    "isKeyframe": false\n}\n'
        with open(os.path.join(out, stem + ".json"), "w", newline="") as file:
            print(text, file=file)
"""

EMC_SCRIPT = r"""
import argparse, json, os, pickle, sys
parser = argparse.ArgumentParser()
for name in ("data", "exp", "root", "out"):
    parser.add_argument("--" + name)
parser.add_argument("--subs", nargs="+"); parser.add_argument("--ranges", type=int, nargs=3)
parser.add_argument("--opt_exp", nargs="+", default=[])
args = parser.parse_args()
import easymocap
assert os.path.exists(args.data) and os.path.exists(args.exp) and os.path.isdir("models")
assert args.opt_exp[:2] == ["args.at_step.vis2d.module", "skip"] and "args.at_final.render.module" in args.opt_exp
seen = json.load(open("people.json"))
LOOK
sub = args.subs[0]
images = sorted(os.listdir(os.path.join(args.root, "images", sub)))[args.ranges[0] : args.ranges[1] : args.ranges[2]]
os.makedirs(os.path.join(args.out, "person", sub), exist_ok=True)
with open(os.path.join(seen["log"]), "a") as file:
    print(len(images), file=file)
for name in images:
    shape = (*look(os.path.join(args.root, "images", sub), name), 3)
    with open(os.path.join(args.out, "person", sub, name[:-4] + ".npy"), "wb") as file:
        pickle.dump({"results": [], "image_shape": shape}, file)
    if int(name[:-4]) in seen.get("nobody", []):
        print("[Stages] Error in detect"); print("Exception"); sys.exit(1)
if seen.get("exit"):
    print("Traceback: something else"); sys.exit(seen["exit"])
def rows(values):
    return "[\r\n          [" + ", ".join("%2.3f" % v for v in values) + "]\r\n        ]"
os.makedirs(os.path.join(args.out, "smpl"), exist_ok=True)
for place, name in enumerate(images):
    if place >= seen.get("written", 10**9):
        break
    p = seen["bodies"][str(int(name[:-4]))]
    keys = ("Rh", "Th", "poses", "shapes")
    body = ",\n".join('        "%s": %s' % (key, rows(p[key])) for key in keys)
    with open(os.path.join(args.out, "smpl", "%06d.json" % place), "w", newline="") as file:
        file.write('[\n    {\n        "id": 0,\n' + body + "\n    }\n]\n")
"""


def checkout(folder: Path, people: dict[str, object]) -> str:
    """Write a stand-in as a clone; returns its commit."""
    for name, text in {
        "apps/preprocess/extract_keypoints.py": KEYPOINTS_SCRIPT.replace("LOOK", LOOK),
        "apps/mocap/run.py": EMC_SCRIPT.replace("LOOK", LOOK),
        "easymocap/__init__.py": "",
        "config/datasets/svimage.yml": "",
        "config/1v1p/hrnet_pare_finetune.yml": "",
        "data/models/yolov4.weights": "",
        "data/models/pose_hrnet_w48_384x288.pth": "",
        "models/J_regressor_body25.npy": "",
        "models/pare/data/pare/checkpoints/pare_w_3dpw_checkpoint.ckpt": "",
        "models/pare/data/pare/checkpoints/pare_w_3dpw_config.yaml": "",
        "models/pare/data/smpl_mean_params.npz": "",
        "models/pare/data/body_models/smpl/SMPL_NEUTRAL.pkl": "",
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "people.json").write_text(json.dumps(people))
    git = ["git", "-C", str(folder), "-c", "user.name=n", "-c", "user.email=e", "-c", "commit.gpgsign=false"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "stand-in"]):
        subprocess.run([*git, *command], check=True, capture_output=True)
    done = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def check_pictures(told: Path, rgb: Raster, handed: Sequence[int]) -> None:
    """Assert that the pictures told of are these frames, once each and in order, of their size and colours."""
    lines = [json.loads(line) for line in told.read_text().splitlines()]
    assert [line[0] for line in lines] == [f"{t:06d}.jpg" for t in handed]
    for line, t in zip(lines, handed):
        assert tuple(line[1:3]) == rgb.frame_shape[:2]
        np.testing.assert_allclose(line[3:], rgb[t].mean((0, 1)), atol=0.01)
