"""The documents that verbs print with ``--json``, declared as types: what a program may rely on."""
