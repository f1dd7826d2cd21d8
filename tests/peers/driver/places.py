"""Where things are, and how they are made: the repository, the reference data, the peers' Python, our binaries."""

import json
import os
import subprocess
import sys
from pathlib import Path

PEERS = Path(__file__).resolve().parent.parent
REPOSITORY = PEERS.parent.parent
RUNTIMES = PEERS / "runtimes"

# How the names of variables begin by which Cargo describes a package to what it runs.
OF_A_PACKAGE = ("CARGO_MANIFEST_", "CARGO_PKG_")


class Unusable(Exception):
    """Why something cannot be measured."""


def log(text: str) -> None:
    """Progress, on standard error."""
    print(text, file=sys.stderr, flush=True)


def test_data() -> Path:
    """The folder of reference data, which may be missing."""
    return Path(os.environ.get("ECOSIGHT_TEST_DATA") or REPOSITORY / ".." / "shared").resolve()


def default_weights() -> Path | None:
    """The weights among the reference data."""
    path = test_data() / "weights" / "yamnet.h5"
    return path if path.is_file() else None


def python() -> Path:
    """The Python that has the peers; installs them where it is missing."""
    return _environment("ECOSIGHT_PEERS_VENV", "peers-venv", "the peers", "about 3 GB") / "python"


def dvc() -> Path:
    """DVC, which has an environment of its own; installs it where it is missing."""
    return _environment("ECOSIGHT_DVC_VENV", "dvc-venv", "DVC", "about 200 MB", "dvc") / "dvc"


def aws() -> Path:
    """The command line of AWS, which has an environment of its own; installs it where it is missing."""
    return _environment("ECOSIGHT_AWS_VENV", "aws-venv", "the AWS command line", "about 150 MB", "aws") / "aws"


def _environment(variable: str, name: str, what: str, size: str, *which: str) -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    venv = Path(os.environ.get(variable) or cache / "ecosight" / name)
    if not (venv / "bin" / "python").exists():
        log(f"installing {what} into {venv} (once, {size})")
        subprocess.run([PEERS / "setup", *which], check=True, stdout=sys.stderr)
    return venv / "bin"


def run_script(script: str, *arguments: str | Path) -> dict:
    """Runs a script of `runtimes/` to its end; its answer."""
    command = [python(), RUNTIMES / script, *arguments]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise Unusable(f"{script}: {last_line(done.stderr)}")
    return json.loads(done.stdout.splitlines()[-1])


def build(*target: str) -> dict[str, Path]:
    """Builds with Cargo; name and path of each executable."""
    log(f"building {' '.join(target)}")
    # The whole workspace shares one set of features, so that nothing that is built already is built anew.
    command = ["cargo", "build", "--release", "--quiet", "--workspace", *target, "--message-format=json"]
    # A test that Cargo runs inherits the description of its package. `ring`, and with it every crate that speaks TLS, is compiled anew whenever
    # `CARGO_MANIFEST_DIR` has changed.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(OF_A_PACKAGE)}
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise Unusable(f"{' '.join(target)} does not build")
    messages = (json.loads(line) for line in done.stdout.splitlines() if line.startswith("{"))
    found = [message for message in messages if message.get("executable")]
    return {message["target"]["name"]: Path(message["executable"]) for message in found}


def ecosight() -> Path:
    """The program itself: `ECOSIGHT_BINARY` where that is set, else built."""
    named = os.environ.get("ECOSIGHT_BINARY")
    return Path(named) if named else build("--bin", "ecosight")["ecosight"]


def last_line(text: str) -> str:
    """The last line with something in it."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "no message"
