"""Readers: from the bytes of a dump's files to records and rows."""
