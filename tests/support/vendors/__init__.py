"""Doubles of the vendors that there are templates for: strict where the vendor's documents are."""
