"""`python -m tools sapiens pose|normal|depth`: Sapiens on one picture, from local checkpoints."""

from __future__ import annotations

import argparse
from pathlib import Path

from tools.faults import of_networks
from tools.sapiens import dense, pose
from tools.sapiens.checkpoints import SEGMENTERS

_SIZES = ("0.3b", "0.6b", "1b", "2b")


def main(argv: list[str]) -> int:
    """Run one command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools sapiens", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    _pose(commands.add_parser("pose", help="joints: a picture with them drawn, and a JSON file"))
    for name in ("normal", "depth"):
        _dense(commands.add_parser(name, help=f"{name}: a picture and an .npy file"), name)
    options = parser.parse_args(argv)
    with of_networks(f"sapiens {options.command}"):
        {"pose": pose.pose, "normal": dense.normal, "depth": dense.depth}[options.command](options)
    return 0


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input", type=Path, help="picture")
    parser.add_argument("output", type=Path, help="picture to write")
    parser.add_argument("--checkpoint_dir", type=Path, help="folder with checkpoints under their published names")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))


def _pose(parser: argparse.ArgumentParser) -> None:
    _common(parser)
    parser.add_argument("json", type=Path, nargs="?", help="JSON file to write")
    parser.add_argument("--output_json", type=Path, help="likewise")
    parser.add_argument("--model", default="1b", choices=_SIZES)
    parser.add_argument("--keypoints", type=int, default=308, choices=(17, 133, 308))
    parser.add_argument("--kpt_threshold", type=float, default=0.3, help="confidence from which a joint is drawn")
    parser.add_argument(
        "--coords", default="image", choices=("image", "heatmap"), help="px of the picture, or of 192 x 256"
    )
    parser.add_argument(
        "--box", type=float, nargs=4, action="append", metavar=("X0", "Y0", "X1", "Y1"), help="a person"
    )
    parser.add_argument(
        "--detector", type=Path, help="yolox_l.onnx, to find people; by default the whole picture is one"
    )
    parser.add_argument("--pose_checkpoint", type=Path)


def _dense(parser: argparse.ArgumentParser, name: str) -> None:
    _common(parser)
    parser.add_argument("npy", type=Path, nargs="?", help=".npy file to write")
    parser.add_argument(f"--{name}_model", default="1b", choices=_SIZES)
    parser.add_argument("--seg_model", default="fg-bg-1b", choices=tuple(SEGMENTERS))
    parser.add_argument(f"--{name}_checkpoint", type=Path)
    parser.add_argument("--seg_checkpoint", type=Path)
