"""Real servers of one's own: on loopback, in a folder of their own, gone afterwards."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from auralink.codecs.errors import InputError


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


class Process:
    """A server that can be killed, frozen and started again with what it had kept."""

    def __init__(self) -> None:
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="auralink-test-"))
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def answers(self) -> bool:
        raise NotImplementedError

    def account(self) -> str | None:
        """Whose process it is; None: ours."""
        return None

    def start(self) -> None:
        """
        Raises:
            RuntimeError: it does not answer; the message has the end of its log.
        """
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*_ends_with_us(), *self.command()],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                user=self.account(),
            )
        try:
            wait_until(self.answers, lambda: (self.folder / "log").read_text("utf-8")[-2000:])
        except BaseException:
            self.remove()
            raise

    def kill(self) -> None:
        """As a crash: no goodbye, and nothing is left of it."""
        process, self._process = self._process, None
        if process is None:
            return
        children = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        for one in children:
            with contextlib.suppress(psutil.NoSuchProcess):  # some go with their parent
                one.kill()
        process.wait(10)

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def remove(self) -> None:
        self.thaw()
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            parent = psutil.Process(self._process.pid)
            for one in (parent, *parent.children(recursive=True)):
                one.send_signal(number)


class RedisServer(Process):
    """
    Raises:
        InputError: it is not installed.
    """

    def __init__(self) -> None:
        super().__init__()
        self.options: list[str] = []
        self.path = shutil.which("redis-server")
        if self.path is None:
            raise _missing("redis-server")

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> list[str]:
        return [
            str(self.path),
            *("--port", str(self.port)),
            *("--bind", "127.0.0.1"),
            *("--save", ""),
            *("--appendonly", "no"),
            *self.options,
        ]

    def answers(self) -> bool:
        with socket.create_connection(("127.0.0.1", self.port), 1) as one:
            one.sendall(b"PING\r\n")
            return one.recv(64)[:1] in (b"+", b"-")  # an error too: it may want a password


class PostgresServer(Process):
    """PostgreSQL refuses to run as root: then the account that its package made is used.

    Raises:
        InputError: it is not installed.
    """

    def __init__(self) -> None:
        super().__init__()
        found = _postgres()
        if found is None:
            raise _missing("postgresql")
        self._bin = found
        data = self.folder / "data"
        data.mkdir()
        if account := self.account():
            self.folder.chmod(0o755)
            shutil.chown(data, account)
        subprocess.run(
            [
                str(self._bin / "initdb"),
                *("-D", str(data), "-U", "auralink"),
                *("--auth", "trust", "--no-sync", "--locale", "C", "--encoding", "UTF8"),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            user=account,
            cwd=self.folder,
        )

    @property
    def url(self) -> str:
        return self.url_of("postgres")

    def url_of(self, database: str, user: str = "auralink") -> str:
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def account(self) -> str | None:
        if os.getuid() != 0:
            return None
        try:
            return pwd.getpwnam("postgres").pw_name
        except KeyError:
            return "nobody"

    def command(self) -> list[str]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "fsync": "off",
            "shared_buffers": "16MB",
            "max_connections": "40",
            "autovacuum": "off",
        }
        options = [text for name, value in settings.items() for text in ("-c", f"{name}={value}")]
        return [str(self._bin / "postgres"), "-D", str(self.folder / "data"), *options]

    def answers(self) -> bool:
        done = subprocess.run(
            [str(self._bin / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)],
            check=False,
        )
        return done.returncode == 0


def wait_until(answers: Callable[[], bool], log: Callable[[], str]) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            if answers():
                return
        except OSError:
            pass
        time.sleep(0.02)
    raise RuntimeError(f"the server does not answer: {log()}")


def _missing(package: str) -> InputError:
    error = InputError(f"no {package} on this machine")
    error.add_note(f"apt-get install {package}")
    return error


def _ends_with_us() -> list[str]:
    """A run that is killed leaves no server behind, where util-linux is there to see to it.

    The kernel takes the *thread* that started a server for its parent.
    """
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL"] if setpriv else []


def _postgres() -> Path | None:
    versions = Path("/usr/lib/postgresql")
    for folder in sorted(versions.glob("*/bin"), reverse=True):
        if (folder / "initdb").exists():
            return folder
    found = shutil.which("initdb")
    return Path(found).parent if found else None
