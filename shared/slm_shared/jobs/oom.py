"""Tells an out-of-memory kill from any other: the kernel counts them, for each memory control group."""

from pathlib import Path

# Where the kernel mounts memory control groups, by the controller's name in /proc/self/cgroup, and the file that
# counts: version 1 (cgroup-v1/memory.txt of the kernel's documentation) and version 2 (cgroup-v2.rst).
CONTROLLERS = {
    "memory": (Path("/sys/fs/cgroup/memory"), "memory.oom_control"),
    "": (Path("/sys/fs/cgroup"), "memory.events"),
}
# Of the whole machine (proc(5)): where there are no control groups, and for the outermost of version 2.
MACHINE = Path("/proc/vmstat")


class OomKills:
    """The out-of-memory kills in this process's own control group, from now on.

    What happens in other containers of the machine is not counted, unless the kernel tells of the machine only.
    """

    def __init__(self) -> None:
        self._file = _counting_file()
        self._before = self._count()

    def happened(self) -> bool:
        """Whether there was one since this object was made; False where the kernel does not say."""
        return self._count() > self._before

    def _count(self) -> int:
        try:
            lines = self._file.read_text().splitlines()
        except OSError:
            return 0
        return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)


def memory_group() -> Path | None:
    """The folder of this process's memory control group, or None without one that can be seen."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return None
    paths = {name: path for _, names, path in (line.split(":", 2) for line in lines) for name in names.split(",")}
    name = "memory" if "memory" in paths else ""
    mounted, file = CONTROLLERS[name]
    # A container may see its own group mounted as the outermost, and still be told the path that the host knows.
    folders = (mounted / paths.get(name, "").lstrip("/"), mounted)
    return next((folder for folder in folders if (folder / file).exists()), None)


def _counting_file() -> Path:
    group = memory_group()
    if group is None:
        return MACHINE
    return next(group / file for _, file in CONTROLLERS.values() if (group / file).exists())
