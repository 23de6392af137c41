"""The label columns of a manifest, and how labelled users are split into parts."""
