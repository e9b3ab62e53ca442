"""The sandbox of a process that reads untrusted files: it may compute and use its files, and has no network.

On Linux a seccomp filter refuses sockets, new programs and looking into other processes; it needs no privileges and
cannot be undone. Memory, processor time and file sizes are bounded by the kernel on every POSIX system.
https://www.kernel.org/doc/html/latest/userspace-api/seccomp_filter.html
"""

import ctypes
import platform
import resource
import struct
import sys

AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
SYSCALL_SECCOMP = {"x86_64": 317, "aarch64": 277}
# socket, socketpair, execve, execveat, ptrace, process_vm_readv, process_vm_writev
REFUSED = {"x86_64": (41, 53, 59, 322, 101, 310, 311), "aarch64": (198, 199, 221, 281, 117, 270, 271)}
PR_SET_NO_NEW_PRIVS = 38
SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC = 1, 1
LOAD, JUMP_EQUAL, JUMP_AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06
ALLOW, EPERM = 0x7FFF0000, 0x00050000 | 1
# x86-64 has a second ABI, x32, whose calls have this bit: under it the refused calls would have other numbers.
FOREIGN_ABI = 0x40000000
# More than the largest upload: it only stops a file that grows without end.
MAX_FILE_BYTES = 64 * 1024**3


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def confine(*, cpu_s: int, memory_bytes: int) -> bool:
    """Give up everything that reading a file does not need; whether the network is out of reach from now on.

    Call it after every import and before the first byte of the file is read.
    """
    for kind, limit in (
        (resource.RLIMIT_CPU, max(1, cpu_s)),
        # Not RLIMIT_AS: Arrow and the allocator reserve much more address space than they use.
        (resource.RLIMIT_DATA, memory_bytes),
        (resource.RLIMIT_FSIZE, MAX_FILE_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        resource.setrlimit(kind, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))
    return sys.platform == "linux" and _refuse_system_calls()


def _refuse_system_calls() -> bool:
    machine = platform.machine()
    if machine not in AUDIT_ARCH:
        return False
    code = _filter(machine)
    buffer = ctypes.create_string_buffer(code, len(code))
    program = _Program(len(code) // 8, ctypes.cast(buffer, ctypes.c_void_p))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    # Polars has started its threads when it was imported; the filter has to bind them as well.
    flags = SECCOMP_FILTER_FLAG_TSYNC
    call = ctypes.c_long(SYSCALL_SECCOMP[machine])
    return bool(libc.syscall(call, SECCOMP_SET_MODE_FILTER, flags, ctypes.byref(program)) == 0)


def _filter(machine: str) -> bytes:
    """The filter as classic BPF: refuse the listed calls and those of any other architecture, allow the rest."""
    refused = REFUSED[machine]
    count = len(refused)
    steps = [
        (LOAD, 0, 0, 4),
        (JUMP_EQUAL, 1, 0, AUDIT_ARCH[machine]),
        (RETURN, 0, 0, EPERM),
        (LOAD, 0, 0, 0),
        (JUMP_AT_LEAST, count + 1, 0, FOREIGN_ABI),
        *((JUMP_EQUAL, count - place, 0, number) for place, number in enumerate(refused)),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, EPERM),
    ]
    return b"".join(struct.pack("=HBBI", *step) for step in steps)
