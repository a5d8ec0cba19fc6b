"""Fakes of every port, shipped so that a release can be simulated in milliseconds, with faults and from a seed."""
