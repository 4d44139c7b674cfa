"""Execute the Dockerfile without a container engine, and look at what comes out.

    sudo .venv/bin/python deploy/rehearse_image.py --out deploy/rehearsal.json

Each stage is a Debian root made by debootstrap; RUN is a chroot into it.  The last stage is then
started as its USER in namespaces of its own: root file system read-only, an empty network with a
loopback, /tmp and the volume writable.  Its own HEALTHCHECK says when it lives; SIGTERM ends it.

What this does not show: the pull of the base image (the root is a fresh Debian of the same release,
so its patch level is newer than that of the tag), layers and their caching, the engine's seccomp
profile and cgroup limits.  Needs root, debootstrap, a network for apt and pip, and a Debian of the
same release, whose package sources it uses.
"""

import argparse
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dockerfile import Stage, environment, parse

ROOT = Path(__file__).parent.parent
SUITE = "bookworm"
APT = Path("/etc/apt")
# What the network of the building machine needs; an image has none of it.
PASSED = ("http_proxy", "https_proxy", "no_proxy", "PIP_INDEX_URL", "PIP_CERT", "SSL_CERT_FILE")
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
START_S = 90.0
SHM_MB = 256  # as compose.yaml and the Deployment give it
END_S = 40.0


class Rehearsal:
    """
    Args:
        folder: for the roots; some gigabytes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._roots: dict[str, Path] = {}
        self.executed: list[str] = []

    def base(self) -> Path:
        """A Debian root, made once."""
        root = self._folder / "base"
        if not root.exists():
            run("debootstrap", "--variant=minbase", SUITE, str(root))
            self._slim(root)
            self._use_our_sources(root)
            shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
        return root

    def _use_our_sources(self, root: Path) -> None:
        """Take packages from where this machine takes them, security updates included."""
        (root / "etc/apt/sources.list").unlink(missing_ok=True)
        for name in ("sources.list", "sources.list.d"):
            here, there = APT / name, root / "etc/apt" / name
            if here.is_dir():
                shutil.copytree(here, there, dirs_exist_ok=True)
            elif here.exists():
                shutil.copy(here, there)

    def _slim(self, root: Path) -> None:
        """Leave out what the slim images leave out: documents, translations, what apt fetched."""
        left_out = ("usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale")
        rules = "".join(f"path-exclude /{folder}/*\n" for folder in left_out)
        (root / "etc/dpkg/dpkg.cfg.d/slim").write_text(rules)
        clean = 'DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb"; };\n'
        (root / "etc/apt/apt.conf.d/clean").write_text(clean)
        for folder in (*left_out, "var/cache/apt/archives", "var/lib/apt/lists"):
            shutil.rmtree(root / folder, ignore_errors=True)
            (root / folder).mkdir(parents=True)

    def build(self, stage: Stage) -> Path:
        root = self._roots[stage.name] = self._folder / f"stage-{stage.name}"
        run("cp", "-a", str(self.base()), str(root))
        variables = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        folder = "/"
        for step in stage.steps:
            match step.name:
                case "ENV":
                    variables |= environment(step.words[0])
                case "WORKDIR":
                    folder = step.words[0]
                    (root / folder.lstrip("/")).mkdir(parents=True, exist_ok=True)
                case "COPY":
                    self._copy(root, folder, step.words, step.options.get("from"))
                case "RUN":
                    self._run(root, folder, variables, step.words[0])
                case _:
                    continue  # about the start, or for people
            self.executed.append(f"{stage.name}: {step.name} {' '.join(step.words)[:100]}")
        return root

    def _copy(self, root: Path, folder: str, words: tuple[str, ...], stage: str | None) -> None:
        *sources, target = words
        there = root / os.path.join(folder, target).lstrip("/")
        here = self._roots[stage] if stage else ROOT
        for source in sources:
            found = here / source.lstrip("/")
            if found.is_dir():
                ignore = None if stage else shutil.ignore_patterns("__pycache__", "runs", "results")
                shutil.copytree(found, there, symlinks=True, dirs_exist_ok=True, ignore=ignore)
            else:
                place = there / found.name if target.endswith("/") else there
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(found, place)

    def _run(self, root: Path, folder: str, variables: dict[str, str], command: str) -> None:
        passed = {name: os.environ[name] for name in PASSED if name in os.environ}
        bundle = root / "tmp/certificates.crt"
        if Path(CERTIFICATES).exists():
            shutil.copy(CERTIFICATES, bundle)
            passed |= dict.fromkeys(("PIP_CERT", "SSL_CERT_FILE"), "/tmp/certificates.crt")
        given = variables | passed | {"DEBIAN_FRONTEND": "noninteractive", "HOME": "/root"}
        words = [f"{name}={value}" for name, value in given.items()]
        inside = f"mount -t proc proc /proc && cd {folder} && {command}"
        try:
            run("unshare", "--mount", "chroot", str(root), "env", "-i", *words, "sh", "-ec", inside)
        finally:
            bundle.unlink(missing_ok=True)


class Container:
    """The last stage, running."""

    def __init__(self, root: Path, stage: Stage) -> None:
        self._root = root
        self._stage = stage
        self._variables = {"PATH": "/usr/bin:/bin", "AURALINK_AUTH__SECRET": secrets.token_hex(32)}
        for step in stage.steps:
            if step.name == "ENV":
                self._variables |= environment(step.words[0])
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, log: Path) -> None:
        root = self._root
        volume = _words(self._stage, "VOLUME")[0]
        user = _words(self._stage, "USER")[0].split(":")
        setup = [
            "ip link set lo up",
            f"mount --bind {root} {root}",
            f"mount -t tmpfs -o mode=1777 tmpfs {root}/tmp",
            f"mount -t tmpfs -o uid={user[0]},gid={user[1]} tmpfs {root}{volume}",
            f"mount -t proc proc {root}/proc",
            f"mount -t tmpfs -o mode=1777,size={SHM_MB}m tmpfs {root}/dev/shm",
            f"mount -o remount,bind,ro {root}",
            f'exec chroot --userspec={":".join(user)} {root} env -i -C {volume} "$@"',
        ]
        words = [*_words(self._stage, "ENTRYPOINT"), *_words(self._stage, "CMD")]
        variables = [f"{name}={value}" for name, value in self._variables.items()]
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                [
                    "unshare",
                    "--mount",
                    "--net",
                    "sh",
                    "-ec",
                    "\n".join(setup),
                    "sh",
                    *variables,
                    *words,
                ],
                stdout=out,
                stderr=out,
            )

    def inside(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        """Run a command beside it, as ``docker exec`` does."""
        assert self._process is not None
        variables = [f"{name}={value}" for name, value in self._variables.items()]
        user = _words(self._stage, "USER")[0]
        return subprocess.run(
            [
                *("nsenter", "--target", str(self._process.pid), "--mount", "--net"),
                *("chroot", f"--userspec={user}", str(self._root), "env", "-i", *variables, *words),
            ],
            capture_output=True,
            check=False,
            timeout=30,
        )

    def healthy(self) -> bool:
        return self.inside(*_words(self._stage, "HEALTHCHECK")).returncode == 0

    def ready(self) -> bool:
        return self.inside("python3", "-c", PROBES["is ready"]).returncode == 0

    def until(self, holds: Callable[[], bool], what: str) -> float:
        """Seconds."""
        assert self._process is not None
        began = time.monotonic()
        while time.monotonic() - began < START_S:
            if self._process.poll() is not None:
                raise SystemExit(f"it ended by itself with {self._process.returncode}")
            if holds():
                return round(time.monotonic() - began, 1)
            time.sleep(0.2)
        raise SystemExit(f"it does not become {what}")

    def end(self) -> int:
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(END_S)

    def kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()


PROBES = {
    "serves metrics": "import urllib.request as u; "
    "assert b'aic_build_info' in u.urlopen('http://127.0.0.1:8000/metrics').read()",
    "is ready": "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/readiness')",
    "answers gRPC health": "import grpc; from grpc_health.v1 import health_pb2 as p, "
    "health_pb2_grpc as g; c = grpc.insecure_channel('127.0.0.1:50051'); "
    "r = g.HealthStub(c).Check(p.HealthCheckRequest(), timeout=5); assert r.status == 1, r",
    "is not root": "import os; assert os.getuid() == os.getgid() == 10001",
    "cannot write to its root": "import errno\ntry: open('/opt/auralink/x', 'w')\n"
    "except OSError as e: assert e.errno in (errno.EROFS, errno.EACCES)\nelse: raise SystemExit(1)",
    "has no installer": "import importlib.util as i; assert i.find_spec('pip') is None",
    "keeps its records in the volume": "import os; assert os.stat('/var/lib/auralink/aic.db')",
}


def look(container: Container) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, program in PROBES.items():
        done = container.inside("python3", "-c", program)
        found[name] = done.returncode == 0
        if done.returncode:
            found[f"{name}: why"] = done.stderr.decode(errors="replace")[-300:]
    version = container.inside("auralink", "version")
    found["auralink version"] = version.stdout.decode().strip()
    return found


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--out", type=Path, help="where to write the result as JSON")
    options.add_argument("--folder", type=Path, help="keeps the roots here, to go on from")
    given = options.parse_args()
    if os.getuid() != 0:
        raise SystemExit("error: a chroot needs root")
    folder = given.folder or Path(tempfile.mkdtemp(prefix="aic-image-", dir="/var/tmp"))
    folder.mkdir(parents=True, exist_ok=True)
    stages = parse((ROOT / "Dockerfile").read_text("utf-8"))
    rehearsal = Rehearsal(folder)
    for stage in stages:
        shutil.rmtree(folder / f"stage-{stage.name}", ignore_errors=True)
        root = rehearsal.build(stage)
    container = Container(root, stages[-1])
    log = folder / "log"
    try:
        container.start(log)
        result: dict[str, Any] = {
            "steps executed": rehearsal.executed,
            "healthy after s": container.until(container.healthy, "healthy"),
            "ready after another s": container.until(container.ready, "ready"),
            **look(container),
            "exit code after SIGTERM": container.end(),
            "image MB": round(size_bytes(root) / 1e6),
            "of it Debian MB": round(size_bytes(rehearsal.base()) / 1e6),
        }
    finally:
        container.kill()
        sys.stderr.write(log.read_text("utf-8", errors="replace")[-4000:])
    text = json.dumps(result, indent=2) + "\n"
    sys.stdout.write(text)
    if given.out:
        given.out.write_text(text)
    if not given.folder:
        shutil.rmtree(folder)
    good = all(value for name, value in result.items() if name in PROBES)
    return 0 if good and result["exit code after SIGTERM"] == 0 else 1


def size_bytes(root: Path) -> int:
    done = subprocess.run(["du", "-sbx", str(root)], capture_output=True, text=True, check=True)
    return int(done.stdout.split()[0])


def run(*words: str) -> None:
    done = subprocess.run(words, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        sys.stderr.write(done.stdout.decode(errors="replace")[-4000:])
        raise SystemExit(f"error: {' '.join(words)[:200]} ended with {done.returncode}")


def _words(stage: Stage, name: str) -> tuple[str, ...]:
    step = stage.last(name)
    if step is None:
        raise SystemExit(f"error: the Dockerfile has no {name}")
    return step.words


if __name__ == "__main__":
    sys.exit(main())
