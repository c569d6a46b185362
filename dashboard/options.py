"""Streamlit's options, the same wherever the dashboard is started.

Streamlit looks for a `config.toml` in the working directory and the home folder, and for variables
`STREAMLIT_…`. These options overrule both, so a file that happens to be there unlocks nothing and
leaves the look as it is.
"""

from collections.abc import Mapping

from dashboard.settings import DashboardSettings

Option = bool | int | str | list[str] | list[int] | dict[str, str]

LOCKED: Mapping[str, Option] = {
    "global.developmentMode": False,
    "global.disableWidgetStateDuplicationWarning": True,
    "browser.gatherUsageStats": False,
    "client.allowedOrigins": [],
    "client.disableDataExport": True,
    "client.showErrorDetails": "none",
    "client.showErrorLinks": False,
    "client.toolbarMode": "viewer",
    "runner.postScriptGC": False,
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
never by a header. Widgets get their values from the address, beside their defaults. Garbage is
collected as Python sees fit: live parts run every few seconds, too often to look through all that
is loaded each time."""

LOOK: Mapping[str, Option] = {
    "theme.baseFontSize": 15,
    "theme.baseFontWeight": 400,
    "theme.headingFontSizes": ["1.75rem", "1.05rem", "1rem", "0.95rem", "0.9rem", "0.875rem"],
    "theme.headingFontWeights": [650, 600, 600, 600, 600, 600],
    "theme.metricValueFontSize": "1.6rem",
    "theme.metricValueFontWeight": 600,
    "theme.codeFontSize": "0.875rem",
    "theme.baseRadius": "0.5rem",
    "theme.buttonRadius": "0.5rem",
    "theme.showWidgetBorder": True,
    "theme.linkUnderline": False,
    "theme.paddingTop": "0.75rem",
    "theme.paddingBottom": "2.5rem",
    "theme.light.primaryColor": "#2D52CC",
    "theme.light.linkColor": "#2D52CC",
    "theme.light.backgroundColor": "#FFFFFF",
    "theme.light.secondaryBackgroundColor": "#F5F7FB",
    "theme.light.textColor": "#0B1220",
    "theme.light.borderColor": "#E1E6EF",
    "theme.light.dataframeBorderColor": "#EAEEF5",
    "theme.light.dataframeHeaderBackgroundColor": "#F7F9FC",
    "theme.light.dataframeHeaderTextColor": "#56607A",
    "theme.light.chartCategoricalColors": [
        "#2D52CC", "#0E8A8A", "#C77700", "#8A4FD3", "#C42B45", "#5B6882", "#3C8F3C", "#B0517E",
    ],
    "theme.light.chartSequentialColors": [
        "#EEF2FE", "#DCE4FC", "#C2CFF9", "#A3B6F4", "#8099EC", "#5F7EE2",
        "#4467D8", "#2D52CC", "#2342A6", "#1A327F",
    ],
    "theme.light.redColor": "#C42B45",
    "theme.light.redTextColor": "#B01E39",
    "theme.light.redBackgroundColor": "#FDECEF",
    "theme.light.orangeColor": "#C77700",
    "theme.light.orangeTextColor": "#8F5200",
    "theme.light.orangeBackgroundColor": "#FFF3E0",
    "theme.light.yellowColor": "#D9A400",
    "theme.light.yellowTextColor": "#7A5A00",
    "theme.light.yellowBackgroundColor": "#FFF7DB",
    "theme.light.greenColor": "#1A8754",
    "theme.light.greenTextColor": "#0F6B41",
    "theme.light.greenBackgroundColor": "#E7F6EE",
    "theme.light.blueColor": "#2D52CC",
    "theme.light.blueTextColor": "#2546B4",
    "theme.light.blueBackgroundColor": "#ECF0FD",
    "theme.light.violetColor": "#7A43C4",
    "theme.light.violetTextColor": "#6A35B0",
    "theme.light.violetBackgroundColor": "#F3ECFC",
    "theme.light.grayColor": "#5B6882",
    "theme.light.grayTextColor": "#56607A",
    "theme.light.grayBackgroundColor": "#F1F4F9",
    "theme.dark.primaryColor": "#8EA6FF",
    "theme.dark.linkColor": "#A3B7FF",
    "theme.dark.backgroundColor": "#0D1220",
    "theme.dark.secondaryBackgroundColor": "#161D2E",
    "theme.dark.textColor": "#EDF1FA",
    "theme.dark.borderColor": "#273149",
    "theme.dark.dataframeBorderColor": "#222B40",
    "theme.dark.dataframeHeaderBackgroundColor": "#141B2B",
    "theme.dark.dataframeHeaderTextColor": "#A3AEC5",
    "theme.dark.chartCategoricalColors": [
        "#8EA6FF", "#4CC9C0", "#F2B04E", "#C29BFF", "#FF8095", "#9AA7C2", "#7CCB7C", "#E59AC0",
    ],
    "theme.dark.chartSequentialColors": [
        "#1A2340", "#20305F", "#29407E", "#34519C", "#4365BA", "#587BD3",
        "#7291E4", "#8EA6FF", "#B3C3FF", "#D9E1FF",
    ],
    "theme.dark.redColor": "#FF6B82",
    "theme.dark.redTextColor": "#FF9AAA",
    "theme.dark.redBackgroundColor": "#3A1722",
    "theme.dark.orangeColor": "#F2A33C",
    "theme.dark.orangeTextColor": "#FFC67A",
    "theme.dark.orangeBackgroundColor": "#35240E",
    "theme.dark.yellowColor": "#F0C541",
    "theme.dark.yellowTextColor": "#F7D774",
    "theme.dark.yellowBackgroundColor": "#322A0D",
    "theme.dark.greenColor": "#3CCB86",
    "theme.dark.greenTextColor": "#74DFAB",
    "theme.dark.greenBackgroundColor": "#0F2E22",
    "theme.dark.blueColor": "#8EA6FF",
    "theme.dark.blueTextColor": "#B3C3FF",
    "theme.dark.blueBackgroundColor": "#1B2647",
    "theme.dark.violetColor": "#B58CFF",
    "theme.dark.violetTextColor": "#D0B5FF",
    "theme.dark.violetBackgroundColor": "#2A1D47",
    "theme.dark.grayColor": "#9AA7C2",
    "theme.dark.grayTextColor": "#A3AEC5",
    "theme.dark.grayBackgroundColor": "#1C2436",
}  # fmt: skip


def options(settings: DashboardSettings) -> dict[str, Option]:
    """By Streamlit's name of each."""
    where: dict[str, Option] = {
        "server.address": settings.dashboard_host,
        "server.port": settings.dashboard_port,
    }
    return {**LOCKED, **LOOK, **where}
