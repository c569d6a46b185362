"""Reconciles a vendor's own export with the stored events: `docs/importing.md`."""
