"""Importers: from what a crawler or a task's organisers left to a manifest."""
