"""Vendors that are declared in a file instead of code: `docs/declaring-a-vendor.md`."""
