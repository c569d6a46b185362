"""Screens: which wall displays are paired, and with which teams?"""

from dashboard import access
from dashboard.screens import data, view

paired = data.paired()
view.headline(paired)
if access.is_local():
    view.local()
else:
    view.form()
view.listed(paired)
