"""What the comparison needs: PyTorch and PEFT in a folder of their own, and the C++ programs."""

import os
import pathlib
import subprocess
import sys
import venv

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent


def python_with_torch(build, given):
    """Returns the Python that has requirements.txt: the one given, or one that is made in the
    build folder, once."""
    if given:
        return pathlib.Path(given)
    folder = build / "venv"
    python = folder / "bin" / "python"
    requirements = HERE / "requirements.txt"
    done = folder / "installed.txt"
    if not done.exists() or done.read_text() != requirements.read_text():
        print(f"Installing {requirements.name} into {folder}", flush=True)
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "-r", requirements], check=True)
        done.write_text(requirements.read_text())
    return python


def continue_in(python):
    """Goes on with this program in `python`, unless it is running there."""
    # A virtual environment's Python is a link: its own prefix tells it from what it links to.
    prefix = subprocess.run([python, "-c", "import sys; print(sys.prefix)"], check=True,
                            capture_output=True, text=True).stdout.strip()
    if sys.prefix != prefix:
        os.execv(python, [str(python), *sys.argv, "--python", str(python)])


def torch_folder():
    """Returns the folder of the package torch, without loading it."""
    import importlib.util
    return pathlib.Path(importlib.util.find_spec("torch").origin).parent


def require_versions():
    """Raises SystemExit unless the installed versions are those of requirements.txt."""
    import importlib.metadata
    for line in (HERE / "requirements.txt").read_text(encoding="utf-8").splitlines():
        name, pinned, version = line.partition("==")
        if pinned:
            # A build's local part, as in 2.13.0+cpu, is the same release.
            found = importlib.metadata.version(name).partition("+")[0]
            if found != version:
                raise SystemExit(f"{name} is {found}, expected {version}: see requirements.txt")


def build_programs(build):
    """Builds the C++ sides with this project's own settings; returns their folder."""
    folder = build / "programs"
    configure = ["cmake", "-S", ROOT, "-B", folder, "-DCMAKE_BUILD_TYPE=Release",
                 "-DLORA_BUILD_TESTS=OFF", "-DLORA_BUILD_EXAMPLES=OFF", "-DLORA_INSTALL=OFF",
                 f"-DLORA_PEERS_TORCH={torch_folder()}"]
    subprocess.run(configure, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", folder, "--target", "lora_side", "libtorch_side",
                    "machine_limits", "plot_peers"], check=True)
    return folder / "benchmarks"
