"""Fails with exit code 3 and says why in the file that the contract reserves for it."""
import os
import sys

with open(os.path.join(os.environ["SM_OUTPUT_DIR"], "failure"), "w") as file:
    file.write("no picture could be read")
sys.exit(3)
