"""Figures of a report, drawn from the results of a study without pyplot."""
