"""Rules of datasets: states, names, kinds of files, and what kind of rows a table holds. Standard library only."""
