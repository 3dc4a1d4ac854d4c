"""`python -m controlplane` is `hub`."""

from controlplane.cli import main

if __name__ == "__main__":
    main(prog_name="hub")
