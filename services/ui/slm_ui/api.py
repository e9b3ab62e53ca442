"""The way to the platform: one client for all sessions of this process, and refusals as something to show."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import streamlit as st

from slm_client import SlmClient, SlmError, UnreachableError
from slm_client.retrying import RetryPolicy
from slm_ui.settings import settings

# Whoever waits in front of a page would rather be told than wait; pages try again by themselves.
PATIENCE = RetryPolicy(attempts=2, first_delay_s=0.15, max_delay_s=0.15)
# A gateway that hangs; one that works says within two seconds what is away.
ANSWER_WITHIN_S = 10.0
AWAY = {502, 503, 504}
# For all sessions of the process together.
MAX_AT_ONCE = 16

T = TypeVar("T")


def client() -> SlmClient:
    """The client of this process."""
    return _client(settings().gateway_url)


@st.cache_resource(show_spinner=False)
def _client(address: str) -> SlmClient:
    return SlmClient(address, retry=PATIENCE, answer_within_s=ANSWER_WITHIN_S)


def soon(question: Callable[[SlmClient], T]) -> "Future[T]":
    """Ask without waiting, so that several questions are one wait; its `result` is the answer or raises SlmError.

    The question is put from another thread: it must not touch Streamlit.
    """
    return _askers().submit(question, client())


@st.cache_resource(show_spinner=False)
def _askers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(MAX_AT_ONCE, thread_name_prefix="asking")


def is_away(error: SlmError) -> bool:
    """Whether the platform, or a service of it, does not answer at the moment."""
    return isinstance(error, UnreachableError) or error.status in AWAY


def if_there(question: Callable[[SlmClient], T]) -> T | None:
    """The answer, or None when there is no such thing (any more)."""
    try:
        return question(client())
    except SlmError as error:
        if error.status == 404:
            return None
        raise
