"""Official submissions: their files, written, read and scored."""
