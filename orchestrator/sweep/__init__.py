"""The sweep file: a strict YAML edge, and its expansion into jobs."""
