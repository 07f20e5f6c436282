"""The report of a study: its answer, tables and pictures, from the files in its folder alone."""
