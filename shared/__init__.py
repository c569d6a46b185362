"""What the receiver and the dashboard agree on: settings, tables, read models, queries."""
