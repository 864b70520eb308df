"""Programs and helpers for tests."""
