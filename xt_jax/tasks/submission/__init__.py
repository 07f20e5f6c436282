"""Writes, reads and scores the files of official submissions."""
