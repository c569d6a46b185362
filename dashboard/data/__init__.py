"""Queries → DataFrames, one file a page: the only package with connections and caches."""
