"""What can be trained, from first update to file."""
