"""The line above a page, and what is shown in its place: no store, no delivery, no rows."""

from string import Template

import streamlit as st

from dashboard import access
from dashboard.base import store
from dashboard.base.pieces import LIVE
from dashboard.base.windows import ago, zone_in_words
from shared.queries.people import Who

CURL = Template("""\
setting() { sed -n "s/^$$1=//p" .env | sed "s/^\\(['\\"]\\)\\(.*\\)\\1 *\\$$/\\2/"; }
secret=$$(setting MINDTICKLE_WEBHOOK_SECRET)
company=$$(setting MINDTICKLE_COMPANY_ID)
body='{"event": "module.progress", "companyId": "'"$${company:-demo}"'", "data": {"userId": "u-1",
 "moduleName": "Discovery calls", "moduleId": "m-1", "progressPct": 40, "timeSpentSec": 600}}'
at=$$(date +%s)
signature=$$(printf '%s:%s' "$$at" "$$body" |
  openssl dgst -sha256 -hmac "$${secret%%,*}" | sed 's/^.* //')
curl -sS "$url" -H 'content-type: application/json' \\
  -H "x-mt-event-id: first-$$at" -H "x-mt-webhook-timestamp: $$at" \\
  -H "x-mt-webhook-signature: $$signature" --data-binary "$$body"
""")


def stop_with(problem: str) -> None:
    """Say what is wrong and what to do, and show nothing else until it is fixed."""
    _problem(problem)
    st.stop()


@st.fragment(run_every="5s")
def _problem(problem: str) -> None:
    if store.problem() is None:
        st.rerun()
    st.error(problem, icon=":material/database_off:")


def wait_for_first_delivery() -> None:
    """While the store is empty, show what to do, and nothing else until a delivery arrives."""
    if store.is_empty(store.version()):
        _wait()
        st.stop()


@st.fragment(run_every=LIVE)
def _wait() -> None:
    if not store.is_empty(store.version()):
        st.rerun()
    first_run(f"{store.receiver_url()}/webhooks/mindtickle")


def first_run(address: str) -> None:
    """What to do until the first delivery."""
    st.subheader("Waiting for the first delivery", anchor=False)
    st.write("Register this address in MindTickle under Admin > Integrations > Webhooks:")
    st.code(address, language=None)
    st.write(
        "Or send a signed event yourself, from the folder that holds `.env`. The secret is taken "
        "from there and shown nowhere:"
    )
    st.code(CURL.substitute(url=address), language="bash", wrap_lines=True)
    st.caption("This page fills by itself as soon as something arrives.")


@st.fragment(run_every=LIVE)
def status() -> None:
    """The grey line under the title."""
    version = store.version()
    st.caption(
        f"Last event {ago(store.last_event(version))} · "
        f"{store.roster_size(version, access.who(Who())):,} learners "
        f"on the roster · {zone_in_words()}"
    )


def nothing_here(version: store.Version, why: str) -> None:
    """Why a part is empty, and what to do."""
    if not store.has_events(version):
        says = "The page Deliveries says" if access.may("deliveries") else "An admin can see"
        why = f"Deliveries arrived, but none was accepted. {says} why."
    st.info(why, icon=":material/info:")
