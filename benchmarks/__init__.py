"""Comparisons with other people's software, each in an environment of its own."""
