"""Layout of a shard: every array of the Zarr store as plain data. What it means is in docs/shard-format.md."""

from __future__ import annotations

from dataclasses import dataclass

FORMAT = "strata-shard"
FORMAT_VERSION = 1

# What the first axis of an array runs over.
FRAME = "frame"  # frames of all clips, end to end
CLIP = "clip"  # clips
SHARED = "shared"  # one value for the whole shard
FLAT = "flat"  # ragged items end to end; the array `<name>_offset` says where each begins


@dataclass(frozen=True)
class Layer:
    """One array of a shard.

    Attributes:
        name: Path of the array in the store.
        over: What its first axis runs over: FRAME, CLIP, SHARED or FLAT.
        axes: Axis names in order, with a size where it is fixed, such as "time joint=133 value=3".
        dtype: numpy dtype.
        unit: Unit of the values; "1" for pure numbers.
        frame: Frame of reference of the values.
        about: One sentence.
        picture: Whether it is an image per frame, at the crop's size.
    """

    name: str
    over: str
    axes: str
    dtype: str
    unit: str
    frame: str
    about: str
    picture: bool = False

    @property
    def dimensions(self) -> tuple[str, ...]:
        """Axis names."""
        return tuple(word.partition("=")[0] for word in self.axes.split())

    @property
    def sizes(self) -> tuple[int | None, ...]:
        """Fixed sizes of the axes; None where the data decide."""
        return tuple(int(word.partition("=")[2]) if "=" in word else None for word in self.axes.split())


def _picture(name: str, dtype: str, unit: str, about: str, channel: str = "") -> Layer:
    axes = f"time height width {channel}".strip()
    return Layer(name, FRAME, axes, dtype, unit, "crop", about, picture=True)


# The stages whose verdict on each frame is kept, in the order of the axis "stage" of `layer_valid`.
JUDGES = ("keypoints", "body", "parsing", "crop", "canonical", "surface", "layers", "scene")

# Figures of each frame, in the order of the axis "figure" of `frame_quality`, with their units.
FRAME_FIGURES = {
    "reprojection_error": "px",  # of the body's joints, in source pixels
    "keypoint_confidence": "1",  # mean of the 17 body joints
    "human_area": "1",  # share of the frame
    "occluder_area": "1",  # share of the frame
    "scene_other_frame": "1",  # share of the frame filled from other frames
    "scene_inpainted": "1",  # share of the frame invented
}

PICTURES = (
    _picture("rgb", "uint8", "1/255", "The frame, sRGB.", "rgb=3"),
    _picture(
        "scene",
        "uint8",
        "1/255",
        "The frame without the human, stored only where `scene_origin` is not 0; elsewhere it is 0 here and the scene "
        "is equal to `rgb`.",
        "rgb=3",
    ),
    _picture("scene_origin", "uint8", "label", "0 this frame's own pixel, 1 seen in another frame, 2 inpainted."),
    _picture("human", "bool", "1", "The subject."),
    _picture("occluder", "bool", "1", "What stands between the camera and the subject; disjoint from `human`."),
    _picture("matte", "uint8", "1/255", "Soft coverage by the subject, also outside `human`."),
    _picture("inside", "bool", "1", "False where the crop reaches beyond the source picture."),
    _picture("parsing", "uint8", "label", "Body part: the 20 classes of SCHP, 0 is not the subject."),
    _picture("depth", "float16", "m", "Distance along the camera's z axis; 0 where there is no estimate."),
    _picture("normal", "int8", "1/127", "Unit normal in camera axes; negative z faces the camera; 0 is none.", "xyz=3"),
)

PER_FRAME = (
    Layer("keypoints", FRAME, "time joint=133 value=3", "float32", "px, px, 1", "crop", "x, y, confidence."),
    Layer("global_orient", FRAME, "time axisangle=3", "float32", "rad", "camera", "SMPL root rotation."),
    Layer("body_pose", FRAME, "time pose=69", "float32", "rad", "parent joint", "SMPL pose of joints 1 to 23."),
    Layer("transl", FRAME, "time xyz=3", "float32", "m", "camera", "SMPL translation."),
    Layer("joints", FRAME, "time smpl_joint=24 xyz=3", "float32", "m", "camera", "SMPL joints."),
    Layer("intrinsics", FRAME, "time row=3 column=3", "float32", "px", "crop", "Camera matrix of the crop."),
    Layer(
        "world_from_camera", FRAME, "time row4=4 column4=4", "float32", "m", "world", "Rigid; world @ camera points."
    ),
    Layer(
        "crop_from_source", FRAME, "time row=3 column=3", "float64", "px", "crop", "Homogeneous, of pixel positions."
    ),
    Layer("timestamps", FRAME, "time", "float64", "s", "clip", "From the first frame of the clip."),
    Layer("valid", FRAME, "time", "bool", "1", "", "All of `layer_valid`."),
    Layer("layer_valid", FRAME, f"time stage={len(JUDGES)}", "bool", "1", "", "Verdict of each stage (attribute)."),
    Layer("frame_quality", FRAME, f"time figure={len(FRAME_FIGURES)}", "float32", "attribute", "", "Figures."),
)

PER_CLIP = (
    Layer("clip_start", CLIP, "clip", "uint64", "frame", "", "First frame of each clip in the shard."),
    Layer("clip_length", CLIP, "clip", "uint64", "frame", "", "Frames of each clip."),
    Layer("source_intrinsics", CLIP, "clip row=3 column=3", "float32", "px", "source", "Camera matrix of the source."),
    Layer("betas", CLIP, "clip shape=10", "float32", "1", "", "SMPL shape, one for the whole clip."),
)

CANONICAL = (
    Layer("canonical/parents", SHARED, "smpl_joint", "uint32", "index", "", "Parent joint; 4294967295 at the root."),
    Layer("canonical/faces", SHARED, "face corner=3", "uint32", "index", "", "Triangles of the body."),
    Layer("canonical/weights", SHARED, "vertex smpl_joint", "float32", "1", "", "Blend weights of the vertices."),
    Layer("canonical/vertices", CLIP, "clip vertex xyz=3", "float64", "m", "big pose", "Vertices in the big pose."),
    Layer("canonical/joints", CLIP, "clip smpl_joint xyz=3", "float64", "m", "body", "Joints in the zero pose."),
    Layer("canonical/bigpose_origin", CLIP, "clip xyz=3", "float64", "m", "big pose", "Centre of voxel (0, 0, 0)."),
    Layer("canonical/bigpose_size", CLIP, "clip xyz=3", "uint64", "voxel", "", "Voxels of the big-pose grid."),
    Layer(
        "canonical/bigpose_weights", FLAT, "voxel channel=25", "float32", "1, m", "big pose",
        "Per clip, C order of (x, y, z): 24 blend weights, then the distance to the surface.",
    ),
    Layer("canonical/bigpose_uv", FLAT, "voxel uv=2", "float32", "1", "", "Texture position, as bigpose_weights."),
    Layer("canonical/bigpose_offset", CLIP, "clip_end", "uint64", "voxel", "", "Where each clip's grid begins; N+1."),
    Layer("canonical/grid_origin", FRAME, "time xyz=3", "float64", "m", "body", "Centre of voxel (0, 0, 0)."),
    Layer("canonical/grid_size", FRAME, "time xyz=3", "uint64", "voxel", "", "Voxels of the frame's grid."),
    Layer(
        "canonical/nearest", FLAT, "voxel", "uint16", "index", "body",
        "Per frame, C order of (x, y, z): nearest vertex; the voxel's blend weights are canonical/weights[nearest].",
    ),
    Layer("canonical/nearest_offset", FRAME, "time_end", "uint64", "voxel", "", "Where each frame's grid begins; T+1."),
)  # fmt: skip

# Pictures that the profile "jpeg" keeps as JPEG files end to end instead of an array of pixels.
JPEG_PICTURES = ("rgb", "scene")
JPEG = tuple(
    layer
    for name in JPEG_PICTURES
    for layer in (
        Layer(f"{name}_jpeg", FLAT, "byte", "uint8", "", "", "Whole JPEG files, one per frame, end to end."),
        Layer(f"{name}_jpeg_offset", FRAME, "time_end", "uint64", "byte", "", "Where each file begins; T+1."),
    )
)

LAYERS: dict[str, Layer] = {layer.name: layer for layer in (*PICTURES, *PER_FRAME, *PER_CLIP, *CANONICAL, *JPEG)}

# What `Shard.read_window` can give: one entry per frame, of fixed shape.
WINDOW_LAYERS = tuple(
    layer.name
    for layer in (*PICTURES, *PER_FRAME, *CANONICAL)
    if layer.over == FRAME and layer.name != "canonical/nearest_offset"
)
