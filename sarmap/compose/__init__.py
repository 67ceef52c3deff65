"""Cube and terrain to the named band stacks the detectors read."""
