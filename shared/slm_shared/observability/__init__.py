"""What a process tells of itself: structured logs, trace context, the version of its code."""
