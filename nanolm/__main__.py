"""python -m nanolm: the same as the command nanolm."""
from nanolm.cli import main

if __name__ == "__main__":
    main()
