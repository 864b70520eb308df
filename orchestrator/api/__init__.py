"""The verbs as methods: the command line's own functions, and tables as pandas DataFrames."""
