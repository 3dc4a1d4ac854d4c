"""What is said between the Hub, its wrappers and its consoles: ids, words, faults, objects and frames."""
