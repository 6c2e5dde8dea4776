"""Hostile inputs, drawn at random: what comes is right, or refused in words; nothing else."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # before the library is imported: nothing asks the network
