"""Who may import whom, and what the core may need."""

import ast
import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

from workflow.environments import ENVIRONMENTS
from workflow.stages import PIPELINE

ROOT = Path(__file__).resolve().parents[2]
CORE_ALLOWED = {"numpy", *sys.stdlib_module_names}
# These run only where Snakemake, the trainer or the report run.
CORE_EXCEPTIONS = {
    "config.py": {"pydantic"},
    "images.py": {"cv2"},
    "packed.py": {"zstandard"},
    "shard_array.py": {"numcodecs", "google_crc32c"},
    "shard_reader.py": {"cv2"},
}


def modules(*folders):
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def imported(path):
    """Top-level names and full names a module imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def tops(path):
    return {name.split(".")[0] for name in imported(path)}


def test_the_core_needs_numpy_only():
    for path in modules("workflow"):
        allowed = CORE_EXCEPTIONS.get(path.name, set())
        foreign = tops(path) - CORE_ALLOWED - {"workflow"} - allowed
        assert not foreign, f"{path.relative_to(ROOT)} imports {foreign}"


def test_model_zoo_imports_nothing_of_ours():
    for path in modules("model_zoo"):
        assert not tops(path) & {"workflow", "tools", "tests"}, path


def test_tools_of_one_stage_do_not_import_those_of_another():
    stages = {stage.name for stage in PIPELINE}
    for path in modules("tools"):
        own = path.relative_to(ROOT / "tools").parts[0]
        for name in imported(path):
            parts = name.split(".")
            if parts[0] == "tools" and len(parts) > 1 and parts[1] in stages and own in stages:
                assert parts[1] == own, f"{path.relative_to(ROOT)} imports {name}"


def test_nothing_imports_snakemake_or_rules():
    for path in modules("workflow", "tools", "model_zoo"):
        assert not tops(path) & {"snakemake", "rules", "Snakefile"}, path


def test_nothing_imports_torchvision():
    for path in modules("workflow", "tools", "model_zoo"):
        assert "torchvision" not in tops(path), path


def test_rules_hold_no_python():
    assert not list((ROOT / "rules").glob("*.py"))
    for path in sorted((ROOT / "rules").glob("*.smk")):
        text = path.read_text()
        for word in ("def ", "lambda", "import ", "os.", "open("):
            assert word not in text, f"{path.name} holds {word!r}"


def test_the_snakefile_is_short_and_rebinds_no_name_of_snakemake():
    import snakemake.api  # noqa: F401  first, or the next import is circular
    import snakemake.workflow

    text = (ROOT / "Snakefile").read_text()
    assert len(text.splitlines()) <= 45
    taken = set(vars(snakemake.workflow)) - {"min_version"}
    for name in ("snake", "pipeline"):
        assert name not in taken


def test_every_stage_has_its_rule_and_its_modules():
    rules = "\n".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    for stage in PIPELINE:
        assert f"rule {stage.name}:" in rules
        for backend in stage.backends:
            assert (ROOT / "tools" / stage.name / f"{backend}.py").exists(), f"{stage.name}/{backend}"


def _ours(path, seen):
    """A module and every module of ours that it imports, directly or not."""
    if path in seen or not path.exists():
        return
    seen.add(path)
    for name in imported(path):
        if name.split(".")[0] in {"workflow", "tools", "model_zoo"}:
            target = ROOT.joinpath(*name.split("."))
            _ours(target.with_suffix(".py"), seen)
            _ours(target / "__init__.py", seen)
            for parent in list(target.parents)[:-1]:
                if parent != ROOT and ROOT in parent.parents:
                    _ours(parent / "__init__.py", seen)


@pytest.mark.parametrize(
    ("stage", "backend"),
    [(stage, name) for stage in PIPELINE for name in stage.backends],
    ids=lambda x: getattr(x, "name", x),
)
def test_a_backend_imports_only_what_its_environment_has(stage, backend):
    seen = set()
    _ours(ROOT / "tools" / stage.name / f"{backend}.py", seen)
    _ours(ROOT / "tools" / "__main__.py", seen)
    needed = (
        set().union(*(tops(path) for path in seen)) - {"workflow", "tools", "model_zoo"} - set(sys.stdlib_module_names)
    )
    distributions = importlib.metadata.packages_distributions()
    pins = (ROOT / "envs" / f"{stage.backends[backend].env}.pin.txt").read_text().splitlines()
    present = {line.split("==")[0] for line in pins}
    for name in needed:
        owners = {owner.lower().replace("_", "-").replace(".", "-") for owner in distributions.get(name, [name])}
        assert owners & present, (
            f"{stage.name}/{backend} imports {name}, which envs/{stage.backends[backend].env} lacks"
        )


def test_every_environment_is_used_and_present():
    used = {backend.env for stage in PIPELINE for backend in stage.backends.values()}
    assert used == set(ENVIRONMENTS)
    for name in used:
        assert (ROOT / "envs" / f"{name}.yaml").exists()


def test_the_core_runs_with_numpy_alone():
    """Importing every declaration loads no third-party package but numpy."""
    code = (
        "import sys; before = set(sys.modules);"
        "import workflow.stages, workflow.store, workflow.layout, workflow.catalog, workflow.shard;"
        "new = {name.split('.')[0] for name in set(sys.modules) - before};"
        "print(sorted(new - set(sys.stdlib_module_names) - {'workflow', 'numpy', 'cython_runtime', '_cython_3_0_8'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_our_packages_are_ours():
    import model_zoo
    import tools
    import workflow

    for module in (model_zoo, tools, workflow):
        assert Path(module.__file__).is_relative_to(ROOT)
