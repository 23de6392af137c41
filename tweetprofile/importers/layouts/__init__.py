"""Layouts: one module per kind of dump, and the tables that a dump may have."""
