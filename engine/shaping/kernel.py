"""The few system calls that network namespaces and TUN devices need.  Linux, as root.

Numbers are those of ``linux/sched.h``, ``linux/if_tun.h``, ``linux/sockios.h``, ``linux/prctl.h``
and ``linux/if.h``, the same on all 64-bit machines.
"""

import contextlib
import ctypes
import fcntl
import os
import signal
import socket
import struct
import sys
from pathlib import Path
from typing import Final

from auralink.codecs.errors import UnsupportedError

DEVICE: Final = "eth0"  # a name that WebRTC takes for an ordinary network
MTU: Final = 1500

_CLONE_NEWNET: Final = 0x4000_0000
_PR_SET_PDEATHSIG: Final = 1
_TUNSETIFF: Final = 0x4004_54CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_SIOCGIFFLAGS, _SIOCSIFFLAGS = 0x8913, 0x8914
_SIOCSIFADDR, _SIOCSIFNETMASK, _SIOCSIFMTU = 0x8916, 0x891C, 0x8922
_IFF_UP: Final = 1


def check() -> None:
    """
    Raises:
        UnsupportedError: not Linux, not root, or no TUN devices.
    """
    if sys.platform != "linux":
        raise UnsupportedError(f"namespaces are a thing of Linux, this is {sys.platform}")
    if os.geteuid() != 0:
        error = UnsupportedError("shaping whole networks needs root")
        error.add_note("run as root")
        raise error
    if not Path("/dev/net/tun").exists():
        error = UnsupportedError("no /dev/net/tun")
        error.add_note("modprobe tun; in a container: --device /dev/net/tun --cap-add NET_ADMIN")
        raise error


def new_network() -> int:
    """Move this thread into a network namespace of its own; give a descriptor of it.

    Raises:
        UnsupportedError: not allowed.
    """
    _call("unshare", _CLONE_NEWNET)
    _up("lo")
    return os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def enter_network(path: str) -> None:
    """Move this thread into the namespace behind a descriptor in ``/proc``.

    Raises:
        UnsupportedError: it is gone, or not allowed.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as gone:
        raise UnsupportedError(f"{path}: no such namespace any more") from gone
    try:
        _call("setns", descriptor, _CLONE_NEWNET)
    finally:
        os.close(descriptor)


def end_with_parent() -> None:
    """Have this process killed when the thread that started it ends."""
    _call("prctl", _PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def open_tun(address: str, prefix: int) -> int:
    """A TUN device in this namespace, up, with an address; its descriptor carries IP packets.

    Raises:
        UnsupportedError: not allowed.
    """
    try:
        descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        wanted = struct.pack("16sH22x", DEVICE.encode(), _IFF_TUN | _IFF_NO_PI)
        fcntl.ioctl(descriptor, _TUNSETIFF, wanted)
        with contextlib.suppress(OSError):  # no IPv6 here: nothing to switch off
            Path(f"/proc/sys/net/ipv6/conf/{DEVICE}/disable_ipv6").write_text("1")
        mask = socket.inet_ntoa(struct.pack(">I", 0xFFFF_FFFF << 32 - prefix & 0xFFFF_FFFF))
        _set(_SIOCSIFMTU, struct.pack("16si20x", DEVICE.encode(), MTU))
        _set(_SIOCSIFADDR, _with_address(address))
        _up(DEVICE)
        _set(_SIOCSIFNETMASK, _with_address(mask))
    except OSError as refused:
        raise UnsupportedError(f"no TUN device: {refused.strerror}") from refused
    return descriptor


def _with_address(address: str) -> bytes:
    return struct.pack("16sHH4s16x", DEVICE.encode(), socket.AF_INET, 0, socket.inet_aton(address))


def _up(device: str) -> None:
    told = _set(_SIOCGIFFLAGS, struct.pack("16sH22x", device.encode(), 0))
    (flags,) = struct.unpack_from("H", told, 16)
    _set(_SIOCSIFFLAGS, struct.pack("16sH22x", device.encode(), flags | _IFF_UP))


def _set(request: int, argument: bytes) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        return fcntl.ioctl(any_socket, request, argument)


def _call(name: str, *arguments: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, name)(*arguments) != 0:
        reason = os.strerror(ctypes.get_errno())
        error = UnsupportedError(f"{name} refused: {reason}")
        error.add_note("run as root; in a container: --cap-add SYS_ADMIN --cap-add NET_ADMIN")
        raise error
