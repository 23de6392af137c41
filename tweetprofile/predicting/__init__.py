"""From a manifest to a table of profiles: planned, run, written whole, and resumed."""
