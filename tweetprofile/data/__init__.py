"""Data on disk or in a store: files, manifests, and the images and labels that manifests name."""
