"""Commands of the Hub as local programs: the file that declares them, running one, and what an earlier life left."""
