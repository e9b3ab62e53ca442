"""From an uploaded file to canonical Parquet, in a child process."""
