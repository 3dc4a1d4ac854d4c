"""Scripts for those who develop the Hub."""
