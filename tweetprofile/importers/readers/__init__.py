"""Readers: turn the bytes of a dump's files into records and rows."""
