"""What the faults under load did, as a table."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Injected:
    """One fault, once; times in seconds."""

    fault: str
    writes: int
    lost: int
    duplicated: int
    wrong: list[str] = field(repr=False)
    recovery_s: float
    slowest_s: float
    completed: int
    refused_zombies: int
    accepted_zombies: int


def table_of(report: list[Injected]) -> str:
    """A markdown table, one line per fault over all its rounds."""
    head = (
        "fault", "runs", "acknowledged writes", "lost", "duplicated", "broken invariants",
        "runs completed", "zombie writes refused", "zombie writes accepted", "recovery (s)", "slowest answer (s)",
    )  # fmt: skip
    lines = [f"| {' | '.join(head)} |", "|---" + "|---:" * (len(head) - 1) + "|"]
    for fault in dict.fromkeys(each.fault for each in report):
        runs = [each for each in report if each.fault == fault]
        cells = (
            fault,
            len(runs),
            sum(each.writes for each in runs),
            sum(each.lost for each in runs),
            sum(each.duplicated for each in runs),
            sum(len(each.wrong) for each in runs),
            sum(each.completed for each in runs),
            sum(each.refused_zombies for each in runs),
            sum(each.accepted_zombies for each in runs),
            f"{max(each.recovery_s for each in runs):.2f}",
            f"{max(each.slowest_s for each in runs):.2f}",
        )
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines) + "\n"
