"""Importers: turn what a crawler or the organisers of a task left into a manifest.

`run` is the way in. `layouts` has one module per kind of dump, `tweets` finds photos in records,
`readers` turns bytes into records and rows.
"""
