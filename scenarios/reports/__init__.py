"""Reports: pages, tables and figures from the files of runs and studies."""
