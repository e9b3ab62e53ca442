"""Computing on rows: profile, quality, near duplicates, personal data, comparisons and splits."""
