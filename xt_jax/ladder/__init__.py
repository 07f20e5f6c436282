"""Publishes pretrained mini encoders, and measures how well they align the languages."""
