"""What the rows of a study say: gaps, slopes, their intervals, runs at chance."""
