"""Stands in front of a program: `shim.py PARENT SIGNAL FOLDER PROGRAM ARGUMENT...` becomes PROGRAM.

Two things have to happen inside the new process before it is the program, and Python code between fork and exec is not
safe in a process with threads. (1) On Linux the kernel is asked to send SIGNAL when PARENT ends, however it ends.
(2) Programs that refuse to run as root get another user, when FOLDER is not "-": a user namespace in which root's files
appear as that user's own, or, where the kernel forbids namespaces, the real user, who is given FOLDER.

Runs with `python -I -S`: standard library only.
"""

import ctypes
import os
import pwd
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CLONE_NEWUSER = 0x10000000
CAP_DAC_OVERRIDE = 1
CAPABILITY_VERSION_3 = 0x20080522


def _call(name: str, *arguments: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def _other_user() -> pwd.struct_passwd:
    """A user that exists (PostgreSQL looks its own up) and is not root."""
    try:
        return pwd.getpwnam("nobody")
    except KeyError:
        return next(user for user in pwd.getpwall() if user.pw_uid != 0)


def _enter_namespace(user: pwd.struct_passwd) -> None:
    """Root becomes `user` in the eyes of this process alone; files stay root's own. See user_namespaces(7)."""
    _call("unshare", CLONE_NEWUSER)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user.pw_uid} 0 1")
    Path("/proc/self/gid_map").write_text(f"{user.pw_gid} 0 1")


def _namespaces_work(user: pwd.struct_passwd) -> bool:
    """Try in a process that can be thrown away: there is no way back out of a half-made namespace."""
    pid = os.fork()
    if pid == 0:
        try:
            _enter_namespace(user)
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(pid, 0)[1] == 0


def _give(folder: Path, uid: int, gid: int) -> None:
    if folder.stat().st_uid == uid:
        return
    for path in [*folder.rglob("*"), folder]:
        os.chown(path, uid, gid, follow_symlinks=False)


def _become(user: pwd.struct_passwd) -> None:
    """Root becomes `user` for good, but may still pass through folders such as /root. See capabilities(7)."""
    _call("prctl", PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    mask = 1 << CAP_DAC_OVERRIDE
    _call("capset", header, (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0))
    _call("prctl", PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0)


def _step_down(folder: Path) -> None:
    user = _other_user()
    if sys.platform == "linux" and _namespaces_work(user):
        _give(folder, 0, 0)
        _enter_namespace(user)
        return
    _give(folder, user.pw_uid, user.pw_gid)
    if sys.platform == "linux":
        _become(user)
    else:
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)


def main(parent: int, signal_number: int, folder: str, *program: str) -> None:
    """Arrange both and become the program."""
    if folder != "-" and os.geteuid() == 0:
        _step_down(Path(folder))
    if sys.platform == "linux":
        # After the change of user, which would clear it.
        _call("prctl", PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the parent is gone")
    os.execv(program[0], program)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
