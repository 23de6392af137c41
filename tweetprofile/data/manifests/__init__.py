"""Manifests: from their Parquet files to batches of users with image references."""
