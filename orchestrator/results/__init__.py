"""Folded journals as tables and pictures."""
