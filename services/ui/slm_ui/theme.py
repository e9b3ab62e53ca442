"""How the console looks, light and dark; the browser's own preference decides until the user does."""

from typing import Any

ACCENT = "#4f46e5"
ACCENT_ON_DARK = "#6366f1"

LIGHT: dict[str, Any] = {
    "primaryColor": ACCENT,
    "backgroundColor": "#ffffff",
    "secondaryBackgroundColor": "#f5f6f8",
    "textColor": "#1b1f2a",
    "linkColor": "#4338ca",
    "borderColor": "#e1e4ea",
    "codeBackgroundColor": "#f5f6f8",
}
DARK: dict[str, Any] = {
    "primaryColor": ACCENT_ON_DARK,
    "backgroundColor": "#11141b",
    "secondaryBackgroundColor": "#1a1f29",
    "textColor": "#e7e9ef",
    "linkColor": "#a5a8fb",
    "borderColor": "#2c333f",
    "codeBackgroundColor": "#1a1f29",
}
SHARED: dict[str, Any] = {
    "baseRadius": "8px",
    "paddingTop": "1.5rem",
    "linkUnderline": False,
    "showWidgetBorder": True,
    "headingFontSizes": ["1.75rem", "1.25rem", "1.05rem", "1rem", "0.95rem", "0.9rem"],
    "headingFontWeights": [650, 600, 600, 600, 600, 600],
}


def theme_options() -> dict[str, Any]:
    """The theme as options of Streamlit."""
    chosen = {f"theme.{name}": value for name, value in SHARED.items()}
    chosen |= {f"theme.light.{name}": value for name, value in LIGHT.items()}
    chosen |= {f"theme.dark.{name}": value for name, value in DARK.items()}
    chosen |= {"theme.light.sidebar.backgroundColor": "#f7f8fa", "theme.dark.sidebar.backgroundColor": "#161a22"}
    return chosen
