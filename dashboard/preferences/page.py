"""Messages: which ones does the viewer get, where and when?"""

import streamlit as st

from dashboard.preferences import data, forwards, view

if token := st.query_params.get(data.LINK):
    view.of_link(token)
else:
    subscribed, channels = data.subscribed(), data.channels()
    view.headline(subscribed)
    view.problems(channels)
    if channels:
        view.form(channels)
    view.listed(subscribed)
    view.sent(data.sent())
    forwards.shown()
