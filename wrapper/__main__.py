"""`python -m wrapper` is `safety-wrapper`."""

from wrapper.cli import main

if __name__ == "__main__":
    main(prog_name="safety-wrapper")
