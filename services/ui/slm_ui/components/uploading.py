"""Passing a file on to the platform: small ones in one request, big ones in parts that survive a broken connection."""

import shutil
import tempfile
from pathlib import Path, PurePath
from typing import Any

import streamlit as st

from slm_client import SlmClient, SlmError
from slm_client.models import Dataset, UploadState
from slm_ui import api
from slm_ui.components.transfers import Transfer
from slm_ui.settings import settings

BEGUN = "uploading:begun"
ENDED = {404, 409, 410}
KEPT = "What has arrived of this file is kept for some hours: Upload goes on from there."


def send(file: Any, **fields: Any) -> Dataset:
    """Send what the browser has brought here, telling rate and time left.

    A big file that did not get through is taken up where it broke when it is sent again with the same fields.
    """
    bar = st.progress(0.0, text="Sending")
    transfer = Transfer(file.size, lambda share, told: bar.progress(share, text=told))
    # Streamlit holds the file in memory; the client reads parts from a path, and again when one has to be repeated.
    with tempfile.TemporaryDirectory(prefix="slm-upload-") as folder:
        path = Path(folder) / (PurePath(file.name).name or "upload")
        with path.open("wb") as target:
            file.seek(0)
            shutil.copyfileobj(file, target)
        if file.size < settings().parts_from_bytes:
            return api.client().datasets.upload(path, on_progress=transfer.add, **fields)
        return _in_parts(path, what=(file.file_id, fields), transfer=transfer)


def _in_parts(path: Path, *, what: tuple[str, dict[str, Any]], transfer: Transfer) -> Dataset:
    known = st.session_state.get(BEGUN)
    resume = known["id"] if known and known["what"] == what else None

    def remember(state: UploadState) -> None:
        st.session_state[BEGUN] = {"what": what, "id": state.id}

    try:
        # A long transfer is worth more patience than a page has.
        with SlmClient(settings().gateway_url) as client:
            made = client.datasets.upload_in_parts(
                path, resume=resume, on_begin=remember, on_progress=transfer.add, **what[1]
            )
    except SlmError as error:
        if error.status in ENDED:
            # It has expired, or is not this file: the next attempt begins anew.
            st.session_state.pop(BEGUN, None)
        else:
            st.caption(KEPT)
        raise
    st.session_state.pop(BEGUN, None)
    return made


def offer_to_go_on(file: Any) -> None:
    """Say that an upload which broke goes on where it was, while its file is still here."""
    known = st.session_state.get(BEGUN)
    if file is not None and known and known["what"][0] == file.file_id:
        st.caption(KEPT)
