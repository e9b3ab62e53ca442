"""A step of the build: the wheel notes the commit it was built from, so that models can say which code trained them."""

import os
import runpy
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

CODE_VERSION = "shared/slm_shared/observability/code_version.py"
NOTE = "slm_shared/observability/commit.txt"


class CommitNote(BuildHookInterface[BuilderConfig]):
    """Adds one file to the wheel; a build that knows no commit, or that stays a checkout, gets none."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the note and add it to the files of the wheel."""
        root = Path(self.root)
        # Not imported: a build environment has none of the packages that the project needs.
        commit_of = runpy.run_path(str(root / CODE_VERSION))["commit_of"]
        commit = os.environ.get("SLM_CODE_VERSION") or commit_of(root)
        if not commit or version == "editable":
            return
        self._folder = tempfile.TemporaryDirectory()
        note = Path(self._folder.name) / "commit.txt"
        note.write_text(f"{commit}\n")
        build_data["force_include"][str(note)] = NOTE
