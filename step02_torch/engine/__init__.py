"""What serves speed, behind the idea's files: the same numbers, faster."""
