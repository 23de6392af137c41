"""From the Parquet files of a manifest to batches of users and their image references."""
