"""The figures of a report, each from the evidence, drawn without pyplot."""
