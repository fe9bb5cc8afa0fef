"""`python -m rememberd` is the command `rememberd`."""

from rememberd.cli.main import run

if __name__ == "__main__":
    run()
