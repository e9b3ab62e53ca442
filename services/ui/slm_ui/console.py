"""The script Streamlit runs for every page: navigation around the page that was asked for."""

import streamlit as st

from slm_ui import navigation
from slm_ui.components import address
from slm_ui.components.states import watched
from slm_ui.components.view import ASSETS

ICON = str(ASSETS / "icon.png")

st.set_page_config(page_title="SLM Platform", page_icon=ICON, layout="wide")
st.logo(ICON, size="large")
st.html(ASSETS / "page.css")
chosen = st.navigation(navigation.pages(), position="sidebar")
address.arrive(chosen.url_path)
navigation.go_where_asked()
with watched():
    chosen.run()
