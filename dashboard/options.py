"""Streamlit's options, the same wherever the dashboard is started.

Streamlit looks for a `config.toml` in the working directory and the home folder, and for variables
`STREAMLIT_…`. These options overrule both, so a file that happens to be there unlocks nothing and
leaves the look as it is.
"""

from collections.abc import Mapping

from dashboard.settings import DashboardSettings

Option = bool | int | str | list[str] | dict[str, str]

LOCKED: Mapping[str, Option] = {
    "global.developmentMode": False,
    "browser.gatherUsageStats": False,
    "client.allowedOrigins": [],
    "client.disableDataExport": True,
    "client.showErrorDetails": "none",
    "client.showErrorLinks": False,
    "client.toolbarMode": "viewer",
    "server.allowRunOnSave": False,
    "server.baseUrlPath": "",
    "server.corsAllowedOrigins": [],
    "server.enableAgentApi": False,
    "server.enableCORS": True,
    "server.enableStaticServing": False,
    "server.enableXsrfProtection": True,
    "server.fileWatcherType": "none",
    "server.headless": True,
    "server.maxUploadSize": 1,
    "server.maxWidgetStateSize": 1,
    "server.runOnSave": False,
    "server.scriptHealthCheckEnabled": False,
    "server.trustedUserHeaders": {},
}
"""Sizes in MB; 1 is the least that Streamlit takes. A person is known by the cookie of a sign-in,
never by a header."""

LOOK: Mapping[str, Option] = {
    "theme.baseRadius": "0.4rem",
    "theme.paddingTop": "0.5rem",
    "theme.paddingBottom": "2rem",
    "theme.metricValueFontSize": "1.75rem",
    "theme.headingFontSizes": ["2rem", "1.5rem", "1.2rem", "1.1rem", "1rem", "0.9rem"],
    "theme.light.primaryColor": "#0b6e6e",
    "theme.light.backgroundColor": "#ffffff",
    "theme.light.secondaryBackgroundColor": "#f3f6f6",
    "theme.light.textColor": "#16232b",
    "theme.light.borderColor": "#d5dee0",
    "theme.light.chartCategoricalColors": [
        "#0b7a75", "#5b8def", "#d1495b", "#e8a33d", "#7b5ea7", "#6c7a80", "#b5533c", "#3f88c5",
    ],
    "theme.dark.primaryColor": "#2aa198",
    "theme.dark.backgroundColor": "#10181d",
    "theme.dark.secondaryBackgroundColor": "#18242b",
    "theme.dark.textColor": "#e6edf0",
    "theme.dark.borderColor": "#2c3c45",
    "theme.dark.chartCategoricalColors": [
        "#3fb8af", "#7aa7ff", "#f0788a", "#f2bb66", "#a78bda", "#9fb0b7", "#e08a72", "#7dbbe8",
    ],
}  # fmt: skip


def options(settings: DashboardSettings) -> dict[str, Option]:
    """By Streamlit's name of each."""
    where: dict[str, Option] = {
        "server.address": settings.dashboard_host,
        "server.port": settings.dashboard_port,
    }
    return {**LOCKED, **LOOK, **where}
