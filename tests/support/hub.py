"""What `huggingface_hub` needs of a hub, over a folder: https://huggingface.co/docs/hub/api."""

import hashlib
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


class Hub:
    """One repository, `tiny/model`; `commits` are its revisions from the first to the newest."""

    def __init__(self, folder: Path, *, commits: list[str]) -> None:
        self._folder, self.commits = folder, commits
        self.served: list[str] = []
        info = [Route(f"/api/models/tiny/model{rest}", self._info) for rest in ("", "/revision/{revision}")]
        tree = Route("/api/models/tiny/model/tree/{revision}", self._tree)
        self.app = Starlette(
            routes=[*info, tree, Route("/tiny/model/resolve/{revision}/{path:path}", self._file)],
        )

    def _commit(self, request: Request) -> str:
        revision = request.path_params.get("revision", "main")
        if revision == "main":
            return self.commits[-1]
        if revision not in self.commits:
            raise HTTPException(404, headers={"X-Error-Code": "RevisionNotFound"})
        return str(revision)

    def _files(self) -> list[Path]:
        return sorted(path for path in self._folder.iterdir() if path.is_file())

    async def _info(self, request: Request) -> Response:
        siblings = [{"rfilename": path.name} for path in self._files()]
        return JSONResponse({"id": "tiny/model", "sha": self._commit(request), "siblings": siblings})

    async def _tree(self, request: Request) -> Response:
        self._commit(request)
        entries = [
            {"type": "file", "path": path.name, "size": path.stat().st_size, "oid": "0" * 40} for path in self._files()
        ]
        return JSONResponse(entries)

    async def _file(self, request: Request) -> Response:
        commit, content = self._commit(request), (self._folder / request.path_params["path"]).read_bytes()
        if request.method == "GET":
            self.served.append(request.path_params["path"])
        headers = {
            "ETag": f'"{hashlib.sha256(content).hexdigest()}"',
            "X-Repo-Commit": commit,
            "Content-Length": str(len(content)),
            "Accept-Ranges": "bytes",
        }
        return Response(content if request.method == "GET" else b"", headers=headers)
