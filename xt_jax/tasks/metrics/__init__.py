"""The metrics of the tasks: pure functions of gold data and predictions, 0..100."""
