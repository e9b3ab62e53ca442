"""One script per page; Streamlit runs the one whose address was asked for."""
