"""What predictions are worth: labels and profiles in, metrics, tables and a report out."""
