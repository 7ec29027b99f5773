"""The command line as ``python -m bnverify``."""

from bnverify.cli import main

main()
