"""Every read, one file a subject. Aggregates are worked out in SQL; rows come back ready to show."""
