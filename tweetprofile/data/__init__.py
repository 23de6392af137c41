"""Data at rest: files, the manifests in them, and the images and labels that these name."""
