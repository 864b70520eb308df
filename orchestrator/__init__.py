"""Sweeps of vision transformers: launched, tended, resumed exactly, compared."""
