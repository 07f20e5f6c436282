"""Statistics of a study's rows: gaps, slopes, their intervals, runs at chance."""
