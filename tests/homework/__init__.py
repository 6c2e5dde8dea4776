"""Homework: a stage handed out, graded, and each mistake named. `python -m tests.homework`."""
