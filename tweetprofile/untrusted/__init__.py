"""Untrusted JSON, TOML, text and CSV: read within bounds, and made safe to show."""
