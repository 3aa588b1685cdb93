"""Where results go and how work is done: folders, tables, provenance, processes, progress."""
